//! The columns of the five catalog tables, described once. The statements that list columns are built from these
//! descriptions and from the templates in `consumer/sql/tables`.

use catalog_shared::record::RecordType;
use time::OffsetDateTime;

use crate::decode::dataset::Typed;

pub(crate) mod statements;
#[cfg(test)]
mod tests;

/// A table of the catalog.
pub(crate) struct Table {
    /// Its name without `socrata_`.
    pub(crate) name: &'static str,
    /// The record type of its topic.
    pub(crate) kind: RecordType,
    /// In the order in which statements list and take them.
    pub(crate) columns: &'static [Column],
}

/// A column of a table.
pub(crate) struct Column {
    pub(crate) name: &'static str,
    pub(crate) sql_type: &'static str,
    pub(crate) role: Role,
    /// Reads the column's value from a decoded row. Only columns that are decoded from an object have one.
    pub(crate) read: Option<Read>,
}

/// What a column is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Part of the primary key.
    Key,
    /// A change of it is a change of the row.
    Content,
    /// Where the row was last published. The newest version of a key wins.
    Version,
    /// Written with each version, but no change of the row.
    Bookkeeping,
}

/// Reads a column out of a decoded dataset.
#[derive(Clone, Copy)]
pub(crate) enum Read {
    /// Lists are array literals, because unnest would flatten arrays of arrays.
    Text(fn(&Typed) -> Option<&str>),
    Time(fn(&Typed) -> Option<OffsetDateTime>),
}

const fn column(name: &'static str, sql_type: &'static str, role: Role) -> Column {
    Column { name, sql_type, role, read: None }
}

const fn key(name: &'static str) -> Column {
    column(name, "text", Role::Key)
}

const fn content(name: &'static str, sql_type: &'static str) -> Column {
    column(name, sql_type, Role::Content)
}

const fn text(name: &'static str, sql_type: &'static str, read: fn(&Typed) -> Option<&str>) -> Column {
    Column { read: Some(Read::Text(read)), ..content(name, sql_type) }
}

const fn time(name: &'static str, read: fn(&Typed) -> Option<OffsetDateTime>) -> Column {
    Column { read: Some(Read::Time(read)), ..content(name, "timestamptz") }
}

const fn bookkeeping(name: &'static str, sql_type: &'static str) -> Column {
    column(name, sql_type, Role::Bookkeeping)
}

const LAST_RUN: Column = column("last_run", "bigint", Role::Version);
const LAST_PAGE: Column = column("last_page", "bigint", Role::Version);
const OBSERVED_AT: Column = column("observed_at", "timestamptz", Role::Version);

pub(crate) static DATASETS: Table = Table {
    name: "datasets",
    kind: RecordType::Datasets,
    columns: &[
        key("region"),
        key("domain"),
        key("id"),
        text("name", "text", |row| row.name.as_deref()),
        text("type", "text", |row| row.kind.as_deref()),
        text("description", "text", |row| row.description.as_deref()),
        text("attribution", "text", |row| row.attribution.as_deref()),
        text("attribution_link", "text", |row| row.attribution_link.as_deref()),
        text("category", "text", |row| row.category.as_deref()),
        text("categories", "text[]", |row| row.categories.as_deref()),
        text("tags", "text[]", |row| row.tags.as_deref()),
        text("domain_tags", "text[]", |row| row.domain_tags.as_deref()),
        text("domain_metadata", "jsonb", |row| row.domain_metadata.as_deref()),
        text("license", "text", |row| row.license.as_deref()),
        text("provenance", "text", |row| row.provenance.as_deref()),
        text("permalink", "text", |row| row.permalink.as_deref()),
        text("link", "text", |row| row.link.as_deref()),
        text("parent_ids", "text[]", |row| row.parent_ids.as_deref()),
        text("columns", "jsonb", |row| row.columns.as_deref()),
        time("created_at", |row| row.created_at),
        time("updated_at", |row| row.updated_at),
        time("metadata_updated_at", |row| row.metadata_updated_at),
        time("data_updated_at", |row| row.data_updated_at),
        time("publication_date", |row| row.publication_date),
        content("record", "jsonb"),
        content("unreadable", "text[]"),
        content("content_hash", "bytea"),
        bookkeeping("retired_at", "timestamptz"),
    ],
};

/// Listed in `write_stats.sql` and `win_stats.sql` too, which are tuned by hand.
pub(crate) static DATASET_STATS: Table = Table {
    name: "dataset_stats",
    kind: RecordType::Datasets,
    columns: &[
        key("region"),
        key("domain"),
        key("id"),
        LAST_RUN,
        LAST_PAGE,
        OBSERVED_AT,
        bookkeeping("page_views_total", "bigint"),
        bookkeeping("page_views_last_month", "bigint"),
        bookkeeping("page_views_last_week", "bigint"),
        bookkeeping("download_count", "bigint"),
        content("content_hash", "bytea"),
    ],
};

pub(crate) static DOMAINS: Table = Table {
    name: "domains",
    kind: RecordType::Domains,
    columns: &[
        key("region"),
        key("domain"),
        content("declared_count", "bigint"),
        LAST_RUN,
        LAST_PAGE,
        OBSERVED_AT,
    ],
};

pub(crate) static HOSTS: Table = Table {
    name: "hosts",
    kind: RecordType::Hosts,
    columns: &[key("region"), key("host"), content("domain", "text"), LAST_RUN, LAST_PAGE, OBSERVED_AT],
};

pub(crate) static AGENCIES: Table = Table {
    name: "agencies",
    kind: RecordType::Agencies,
    columns: &[key("region"), key("host"), key("agency"), LAST_RUN, LAST_PAGE, OBSERVED_AT],
};

/// All tables, in the order in which a rebuild compares and repairs them.
pub(crate) static TABLES: [&Table; 5] = [&DATASETS, &DATASET_STATS, &DOMAINS, &HOSTS, &AGENCIES];
