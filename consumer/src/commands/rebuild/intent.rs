//! What to do about rows that differ.

use serde::Serialize;

/// What to do about what differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Intent {
    /// Tell it.
    Compare,
    /// Make the live tables equal.
    Mend,
}

impl Intent {
    pub(super) const fn done(self) -> &'static str {
        match self {
            Self::Compare => "Compared with",
            Self::Mend => "Rebuilt from",
        }
    }
}
