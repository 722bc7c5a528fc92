//! The rows of the wide table that must be written.

use anyhow::Context;
use time::OffsetDateTime;

use crate::decode::rows::{Dataset, Versioned};
use crate::store::tables::WideRow;

/// A dataset whose wide row must be written. It is decoded only when it is sent.
pub(super) struct Winner<'a> {
    pub(super) row: Versioned<Dataset<'a>>,
    /// Whether the narrow table had no row with its key.
    pub(super) is_new: bool,
    pub(super) retired_at: Option<OffsetDateTime>,
}

impl<'a> Winner<'a> {
    /// # Errors
    /// Never, because the dataset was scanned successfully.
    pub(super) fn decode(&self) -> anyhow::Result<WideRow<'a>> {
        let Self { row, retired_at, .. } = self;
        let Dataset { domain, id, .. } = row.row;
        let content =
            row.row.decode().with_context(|| format!("{} was scanned but can't be decoded", name(row)))?;
        Ok(WideRow { region: row.region.name(), domain, id, content, retired_at: *retired_at })
    }
}

/// The key of a dataset, for messages.
pub(super) fn name(row: &Versioned<Dataset<'_>>) -> String {
    format!("{}/{}/{}", row.region.name(), row.row.domain, row.row.id)
}
