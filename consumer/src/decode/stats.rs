//! The counters of an asset.

/// The counters of an asset, which change on each crawl.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stats {
    pub(crate) page_views_total: Option<i64>,
    pub(crate) page_views_last_month: Option<i64>,
    pub(crate) page_views_last_week: Option<i64>,
    pub(crate) download_count: Option<i64>,
}
