//! Why a transaction was not committed, told apart by what may be done about it.

use thiserror::Error;

/// Why a transaction was not committed.
#[derive(Debug, Error)]
pub(crate) enum TransactionError {
    /// This instance can do no more. Another one may have taken over, or the transaction took too long:
    /// the two look the same from here, and the commit may even have gone through.
    #[error(
        "the transactional producer was fenced, or the transaction took too long (a smaller --page-size makes it \
         shorter): {0}"
    )]
    Fatal(String),
    /// It was aborted and nothing of it can be seen; it may be tried again.
    #[error("the transaction was aborted: {0}")]
    Aborted(String),
    /// It was aborted, for a broker that leads a partition was away for too long; it may be tried again.
    #[error("a broker is away, and the transaction was aborted: {0}")]
    Away(String),
    /// It was aborted, because Kafka did not take its records in time although all brokers answer. A smaller
    /// transaction may do better.
    #[error(
        "Kafka did not take a page in time, and the transaction was aborted: a quota or slow brokers hold it up, and \
         a smaller --page-size makes smaller transactions: {0}"
    )]
    Slow(String),
    /// It was aborted, and would be again.
    #[error("Kafka refuses a record: {0}")]
    Refused(String),
}
