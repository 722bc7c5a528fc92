//! Why a transaction was not committed, by what the caller can do about it.

use thiserror::Error;

/// Why a transaction was not committed.
#[derive(Debug, Error)]
pub(crate) enum TransactionError {
    /// This instance is unusable. It was fenced by another one or the transaction timed out, which can't be
    /// distinguished here, and the commit may even have succeeded.
    #[error(
        "the transactional producer was fenced, or the transaction timed out (a smaller --page-size makes it \
         shorter): {0}"
    )]
    Fatal(String),
    /// It was aborted and can be retried.
    #[error("the transaction was aborted: {0}")]
    Aborted(String),
    /// It was aborted because a partition leader was unreachable for too long. It can be retried.
    #[error("a broker is unreachable, and the transaction was aborted: {0}")]
    Unreachable(String),
    /// It was aborted because a partition had too few replicas in sync for too long. It can be retried.
    #[error("Kafka can't store records safely, and the transaction was aborted: {0}")]
    FewReplicas(String),
    /// It was aborted because Kafka did not accept its records in time although all brokers are reachable. A smaller
    /// transaction may succeed.
    #[error(
        "publishing a page timed out, and the transaction was aborted: a quota or slow brokers delay it, and a \
         smaller --page-size makes smaller transactions: {0}"
    )]
    Slow(String),
    /// It was aborted because Kafka refuses a record. A retry would fail again.
    #[error("Kafka refuses a record: {0}")]
    Refused(String),
}

impl TransactionError {
    /// Whether it is known that nothing was committed.
    pub(crate) const fn is_definite(&self) -> bool {
        !matches!(self, Self::Fatal(_))
    }
}
