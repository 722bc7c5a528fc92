//! Converts rows to one array per column, so that one statement can write a whole batch.

use time::OffsetDateTime;

use crate::decode::rows::Versioned;

/// The columns that all rows have in common.
pub(super) struct Versions {
    pub(super) regions: Vec<&'static str>,
    pub(super) runs: Vec<i64>,
    pub(super) pages: Vec<i64>,
    pub(super) observed_at: Vec<OffsetDateTime>,
}

impl Versions {
    pub(super) fn of<T>(rows: &[Versioned<T>]) -> Self {
        Self {
            regions: rows.iter().map(|row| row.region.name()).collect(),
            runs: rows.iter().map(|row| i64::from(row.version.run)).collect(),
            pages: rows.iter().map(|row| i64::from(row.version.page)).collect(),
            observed_at: rows.iter().map(|row| row.observed_at).collect(),
        }
    }
}

/// The values of one column.
pub(super) fn column<'a, T, V>(rows: &'a [Versioned<T>], value: impl Fn(&'a T) -> V) -> Vec<V> {
    rows.iter().map(|row| value(&row.row)).collect()
}
