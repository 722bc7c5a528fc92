//! A row of the table of datasets.

use time::OffsetDateTime;

use crate::decode::dataset::DatasetRow;
use crate::decode::literal::TextArray;

/// A row of the table of datasets.
pub(crate) struct WideRow<'a> {
    pub(crate) region: &'static str,
    pub(crate) domain: &'a str,
    pub(crate) id: &'a str,
    pub(crate) content: DatasetRow,
    pub(crate) retired_at: Option<OffsetDateTime>,
}

/// Reads the value of a column.
#[derive(Clone, Copy)]
pub(crate) enum Read {
    Text(for<'a> fn(&'a WideRow<'a>) -> Option<&'a str>),
    /// JSON text.
    Json(for<'a> fn(&'a WideRow<'a>) -> Option<&'a str>),
    List(for<'a> fn(&'a WideRow<'a>) -> Option<&'a TextArray>),
    Time(fn(&WideRow<'_>) -> Option<OffsetDateTime>),
    Bytes(for<'a> fn(&'a WideRow<'a>) -> &'a [u8]),
}

impl Read {
    /// The type of the column.
    pub(super) const fn sql_type(self) -> &'static str {
        match self {
            Self::Text(_) => "text",
            Self::Json(_) => "jsonb",
            Self::List(_) => "text[]",
            Self::Time(_) => "timestamptz",
            Self::Bytes(_) => "bytea",
        }
    }
}
