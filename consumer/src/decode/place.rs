//! The places that a value of an asset may have, as far as they differ in how a value counts.

use crate::decode::asset::{COLUMNS, DOWNLOADS, MULTISETS, PAGE_VIEWS};

/// Where a value stands.
#[derive(Clone, Copy)]
pub(super) enum Place {
    Top,
    Resource,
    Id,
    /// An array of cells, one for each column of the table; with the digest of its name.
    Column(u64),
    PageViews,
    /// A number that changes on each crawl.
    Moving(Moving),
    /// Part of the page views and not stored.
    Ignored,
    Classification,
    /// A list whose order has no meaning.
    Multiset,
    Metadata,
    Domain,
    Plain,
}

#[derive(Clone, Copy)]
pub(super) enum Moving {
    Total,
    LastMonth,
    LastWeek,
    Downloads,
}

impl Place {
    /// The place of a member.
    pub(super) fn member(self, name: &str, digest: u64) -> Self {
        match (self, name) {
            (Self::Top, "resource") => Self::Resource,
            (Self::Top, "classification") => Self::Classification,
            (Self::Top, "metadata") => Self::Metadata,
            (Self::Resource, "id") => Self::Id,
            (Self::Resource, PAGE_VIEWS) => Self::PageViews,
            (Self::Resource, DOWNLOADS) => Self::Moving(Moving::Downloads),
            (Self::Resource, _) if name.starts_with(COLUMNS) => Self::Column(digest),
            (Self::PageViews, "page_views_total") => Self::Moving(Moving::Total),
            (Self::PageViews, "page_views_last_month") => Self::Moving(Moving::LastMonth),
            (Self::PageViews, "page_views_last_week") => Self::Moving(Moving::LastWeek),
            (Self::PageViews, _) => Self::Ignored,
            (Self::Classification, _) if MULTISETS.contains(&name) => Self::Multiset,
            (Self::Metadata, "domain") => Self::Domain,
            _ => Self::Plain,
        }
    }
}
