//! The role of a value within an asset. It decides how the value is hashed.

use crate::decode::asset::{COLUMNS, DOWNLOADS, MULTISETS, PAGE_VIEWS};

/// The role of a value.
#[derive(Clone, Copy)]
pub(super) enum FieldRole {
    Top,
    Resource,
    Id,
    /// An array with one element for each column of the table, and the digest of its name.
    Column(u64),
    PageViews,
    /// A number that changes on each crawl.
    Stat(Stat),
    /// An entry of the page views that is not stored.
    Ignored,
    Classification,
    /// A list whose order has no meaning.
    Multiset,
    Metadata,
    Domain,
    Plain,
}

#[derive(Clone, Copy)]
pub(super) enum Stat {
    Total,
    LastMonth,
    LastWeek,
    Downloads,
}

impl FieldRole {
    /// The role of a member of this object. `digest` is the digest of its name.
    pub(super) fn member(self, name: &str, digest: u64) -> Self {
        match (self, name) {
            (Self::Top, "resource") => Self::Resource,
            (Self::Top, "classification") => Self::Classification,
            (Self::Top, "metadata") => Self::Metadata,
            (Self::Resource, "id") => Self::Id,
            (Self::Resource, PAGE_VIEWS) => Self::PageViews,
            (Self::Resource, DOWNLOADS) => Self::Stat(Stat::Downloads),
            (Self::Resource, _) if name.starts_with(COLUMNS) => Self::Column(digest),
            (Self::PageViews, "page_views_total") => Self::Stat(Stat::Total),
            (Self::PageViews, "page_views_last_month") => Self::Stat(Stat::LastMonth),
            (Self::PageViews, "page_views_last_week") => Self::Stat(Stat::LastWeek),
            (Self::PageViews, _) => Self::Ignored,
            (Self::Classification, _) if MULTISETS.contains(&name) => Self::Multiset,
            (Self::Metadata, "domain") => Self::Domain,
            _ => Self::Plain,
        }
    }
}
