//! Whether differing rows are only reported or also repaired.

use serde::Serialize;

/// What to do with differing rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Intent {
    /// Report them.
    Compare,
    /// Repair the live tables.
    #[serde(rename = "mend")]
    Repair,
}

impl Intent {
    /// The beginning of the report.
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Compare => "Compared with",
            Self::Repair => "Rebuilt from",
        }
    }
}
