//! What went wrong, and the next step.

/// What a client's error means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Diagnosis {
    pub(super) reason: String,
    pub(super) next: String,
}

impl Diagnosis {
    pub(super) fn new(reason: impl Into<String>, next: impl Into<String>) -> Self {
        Self { reason: reason.into(), next: next.into() }
    }
}
