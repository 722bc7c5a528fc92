//! Rows as arrays, a column each: that is how a batch goes to PostgreSQL in one statement.

use time::OffsetDateTime;

use crate::decode::rows::Versioned;

/// The columns that every table has.
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

/// A column of the rows.
pub(super) fn column<'a, T, V>(rows: &'a [Versioned<T>], value: impl Fn(&'a T) -> V) -> Vec<V> {
    rows.iter().map(|row| value(&row.row)).collect()
}
