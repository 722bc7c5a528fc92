//! Why a batch is retried.

use super::{database_error, has_code, is_timed_out};

/// Why a batch is retried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RetryCause {
    /// The server can't be reached, starts, stops, is read-only, or has no memory, disk or connections left.
    Outage,
    /// Another transaction: a deadlock, or a serialization failure.
    Conflict,
    /// A statement, a lock or a transaction took too long, or an operator cancelled it.
    Timeout,
}

impl RetryCause {
    pub(crate) const ALL: [Self; 3] = [Self::Outage, Self::Conflict, Self::Timeout];

    /// The cause of a transient error.
    pub(crate) fn of(error: &anyhow::Error) -> Self {
        match database_error(error) {
            Some(error) if has_code(error, &["40"]) => Self::Conflict,
            Some(_) if is_timed_out(error) => Self::Timeout,
            Some(error) if has_code(error, &["55P03", "25P03"]) => Self::Timeout,
            _ => Self::Outage,
        }
    }

    /// The cause as text.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Outage => "outage",
            Self::Conflict => "conflict",
            Self::Timeout => "timeout",
        }
    }

    /// Whether a retry helps only after the server is back.
    pub(crate) const fn is_outage(self) -> bool {
        matches!(self, Self::Outage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_outage_is_waited_for() {
        let outage = anyhow::Error::from(sqlx::Error::PoolTimedOut).context("can't begin a transaction");
        assert_eq!(RetryCause::of(&outage), RetryCause::Outage);
        assert!(RetryCause::ALL.iter().all(|cause| cause.is_outage() == (*cause == RetryCause::Outage)));
    }
}
