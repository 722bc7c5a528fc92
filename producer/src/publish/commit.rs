//! Commits a transaction by calling librdkafka directly.
//!
//! The `commit_transaction` of the rdkafka crate flushes first and waits 100 ms whenever a delivery has not been
//! reported yet, which happens in up to 16 % of transactions even after all deliveries were awaited. Then the flush is
//! not needed. See docs/explanation/decisions/0012-unsafe-in-three-files.md.

use std::ffi::CStr;
use std::time::Duration;

use rdkafka::bindings::{
    rd_kafka_commit_transaction, rd_kafka_error_destroy, rd_kafka_error_is_retriable, rd_kafka_error_string,
    rd_kafka_error_t, rd_kafka_error_txn_requires_abort,
};
use rdkafka::client::ClientContext;
use rdkafka::producer::{FutureProducer, Producer};
use thiserror::Error;

/// Why a commit call failed.
#[derive(Debug, Error)]
#[error("{reason}")]
pub(crate) struct CommitError {
    reason: String,
    /// Whether the same call can be repeated.
    pub(crate) retriable: bool,
    /// Whether the transaction can only be aborted.
    pub(crate) requires_abort: bool,
}

/// Commits the open transaction after all its deliveries were awaited. Blocks for up to `timeout`.
#[expect(unsafe_code, reason = "the commit of the crate costs 100 ms, see above")]
pub(crate) fn commit<C>(producer: &FutureProducer<C>, timeout: Duration) -> Result<(), CommitError>
where
    C: ClientContext + 'static,
{
    let timeout = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: the handle is valid for as long as `producer` is borrowed.
    let error = unsafe { rd_kafka_commit_transaction(producer.client().native_ptr(), timeout) };
    if error.is_null() {
        return Ok(());
    }
    // SAFETY: a non-null result is an error object that the caller owns and must destroy once.
    Err(unsafe { take(error) })
}

/// # Safety
/// `error` is a live error object of librdkafka and is not used again.
#[expect(unsafe_code, reason = "reads an error object of librdkafka")]
unsafe fn take(error: *mut rd_kafka_error_t) -> CommitError {
    // SAFETY: guaranteed by the caller; the string belongs to the object and is copied before it is destroyed.
    unsafe {
        let reason = CStr::from_ptr(rd_kafka_error_string(error)).to_string_lossy().into_owned();
        let retriable = rd_kafka_error_is_retriable(error) != 0;
        let requires_abort = rd_kafka_error_txn_requires_abort(error) != 0;
        rd_kafka_error_destroy(error);
        CommitError { reason, retriable, requires_abort }
    }
}
