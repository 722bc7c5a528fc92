//! The delivery of the records of a transaction.

use std::time::Duration;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::future_producer::OwnedDeliveryResult;
use tokio::time::timeout;

use crate::model::outgoing::Outgoing;

/// A record that was not delivered.
pub(crate) struct Undelivered {
    pub(crate) key: String,
    pub(crate) error: KafkaError,
}

/// The result of a delivery; an error of `E` if the client is gone.
type Delivered<E> = Result<OwnedDeliveryResult, E>;

/// How long to wait for the error that made the client purge the other records. It is usually reported before or right after
/// them.
const CAUSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Waits until all these records are delivered.
///
/// # Errors
/// The first record that was not delivered. One that the client has only purged because of another one is the last resort.
pub(crate) async fn await_all<'a, E>(
    pending: impl IntoIterator<Item = (&'a Outgoing, impl Future<Output = Delivered<E>>)>,
) -> Result<(), Undelivered> {
    let mut pending = pending.into_iter();
    let Err(first) = await_some(&mut pending, |_| true).await else { return Ok(()) };
    if !is_purged(&first.error) {
        return Err(first);
    }
    let cause = timeout(CAUSE_TIMEOUT, await_some(&mut pending, |error| !is_purged(error))).await;
    Err(cause.ok().and_then(Result::err).unwrap_or(first))
}

/// Waits for records until one has an error that counts.
async fn await_some<'a, E>(
    pending: &mut impl Iterator<Item = (&'a Outgoing, impl Future<Output = Delivered<E>>)>,
    counts: impl Fn(&KafkaError) -> bool,
) -> Result<(), Undelivered> {
    for (record, delivery) in pending {
        let delivered = delivery.await.map_err(|_| KafkaError::Canceled);
        match delivered.and_then(|result| result.map_err(|(error, _)| error)) {
            Err(error) if counts(&error) => return Err(Undelivered { key: record.key.clone(), error }),
            _ => {}
        }
    }
    Ok(())
}

fn is_purged(error: &KafkaError) -> bool {
    let code = error.rdkafka_error_code();
    matches!(code, Some(RDKafkaErrorCode::PurgeQueue | RDKafkaErrorCode::PurgeInflight))
}

/// Whether a record can be sent after others have been delivered.
pub(crate) const fn is_queue_full(error: &KafkaError) -> bool {
    matches!(error, KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull))
}

#[cfg(test)]
mod tests {
    use std::future::{Ready, ready};
    use std::sync::Arc;

    use bytes::Bytes;
    use rdkafka::message::{OwnedMessage, Timestamp};

    use super::*;

    fn failed(code: RDKafkaErrorCode) -> Ready<Delivered<()>> {
        let message = OwnedMessage::new(None, None, String::new(), Timestamp::NotAvailable, 0, 0, None);
        ready(Ok(Err((KafkaError::MessageProduction(code), message))))
    }

    #[tokio::test]
    async fn the_cause_is_preferred_to_the_records_that_were_purged_because_of_it() {
        use RDKafkaErrorCode::{MessageSizeTooLarge, PurgeInflight, PurgeQueue};
        let record = |key: &str| Outgoing {
            topic: "datasets".into(),
            partition: 0,
            key: key.into(),
            value: Bytes::new(),
            headers: Arc::default(),
        };
        let (first, second, third) = (record("a"), record("b"), record("c"));
        let error = async |codes: [RDKafkaErrorCode; 3]| {
            let undelivered = await_all([&first, &second, &third].into_iter().zip(codes.map(failed))).await;
            undelivered.err().and_then(|error| Some((error.key, error.error.rdkafka_error_code()?)))
        };
        let too_large = error([PurgeQueue, PurgeInflight, MessageSizeTooLarge]).await;
        assert_eq!(too_large, Some(("c".to_owned(), MessageSizeTooLarge)));
        let purged = error([PurgeQueue, PurgeInflight, PurgeInflight]).await;
        assert_eq!(purged, Some(("a".to_owned(), PurgeQueue)));
    }
}
