//! The columns of the five catalog tables, described once. The statements that list columns are built from these
//! descriptions and from the templates in `consumer/sql/tables`.

use catalog_shared::record::RecordType;

pub(crate) mod statements;
#[cfg(test)]
mod tests;
mod wide_row;

use Read::{Bytes, Json, List, Text, Time};
pub(crate) use wide_row::{Read, WideRow};

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
    pub(crate) role: ColumnRole,
    /// Reads the column's value from a row. Only the columns of datasets have one.
    pub(crate) read: Option<Read>,
}

/// What a column is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum ColumnRole {
    /// Part of the primary key.
    Key,
    /// A change of it is a change of the row.
    Content,
    /// Where the row was last published. The newest version of a key wins.
    Version,
    /// Written with each version, but no change of the row.
    Bookkeeping,
}

const fn column(name: &'static str, sql_type: &'static str, role: ColumnRole) -> Column {
    Column { name, sql_type, role, read: None }
}

const fn key(name: &'static str) -> Column {
    column(name, "text", ColumnRole::Key)
}

const fn content(name: &'static str, sql_type: &'static str) -> Column {
    column(name, sql_type, ColumnRole::Content)
}

/// A column of the table of datasets.
const fn of_dataset(name: &'static str, role: ColumnRole, read: Read) -> Column {
    Column { read: Some(read), ..column(name, read.sql_type(), role) }
}

const fn wide(name: &'static str, read: Read) -> Column {
    of_dataset(name, ColumnRole::Content, read)
}

const fn bookkeeping(name: &'static str, sql_type: &'static str) -> Column {
    column(name, sql_type, ColumnRole::Bookkeeping)
}

const LAST_RUN: Column = column("last_run", "bigint", ColumnRole::Version);
const LAST_PAGE: Column = column("last_page", "bigint", ColumnRole::Version);
const OBSERVED_AT: Column = column("observed_at", "timestamptz", ColumnRole::Version);

pub(crate) static DATASETS: Table = Table {
    name: "datasets",
    kind: RecordType::Datasets,
    columns: &[
        of_dataset("region", ColumnRole::Key, Text(|row| Some(row.region))),
        of_dataset("domain", ColumnRole::Key, Text(|row| Some(row.domain))),
        of_dataset("id", ColumnRole::Key, Text(|row| Some(row.id))),
        wide("name", Text(|row| row.content.typed.name.as_deref())),
        wide("type", Text(|row| row.content.typed.kind.as_deref())),
        wide("description", Text(|row| row.content.typed.description.as_deref())),
        wide("attribution", Text(|row| row.content.typed.attribution.as_deref())),
        wide("attribution_link", Text(|row| row.content.typed.attribution_link.as_deref())),
        wide("category", Text(|row| row.content.typed.category.as_deref())),
        wide("categories", List(|row| row.content.typed.categories.as_ref())),
        wide("tags", List(|row| row.content.typed.tags.as_ref())),
        wide("domain_tags", List(|row| row.content.typed.domain_tags.as_ref())),
        wide("domain_metadata", Json(|row| row.content.typed.domain_metadata.as_deref())),
        wide("license", Text(|row| row.content.typed.license.as_deref())),
        wide("provenance", Text(|row| row.content.typed.provenance.as_deref())),
        wide("permalink", Text(|row| row.content.typed.permalink.as_deref())),
        wide("link", Text(|row| row.content.typed.link.as_deref())),
        wide("parent_ids", List(|row| row.content.typed.parent_ids.as_ref())),
        wide("columns", Json(|row| row.content.typed.columns.as_deref())),
        wide("created_at", Time(|row| row.content.typed.created_at)),
        wide("updated_at", Time(|row| row.content.typed.updated_at)),
        wide("metadata_updated_at", Time(|row| row.content.typed.metadata_updated_at)),
        wide("data_updated_at", Time(|row| row.content.typed.data_updated_at)),
        wide("publication_date", Time(|row| row.content.typed.publication_date)),
        wide("record", Json(|row| Some(&row.content.record))),
        wide("unreadable", List(|row| Some(&row.content.unreadable))),
        wide("content_hash", Bytes(|row| row.content.content_hash.as_bytes())),
        of_dataset("retired_at", ColumnRole::Bookkeeping, Time(|row| row.retired_at)),
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
