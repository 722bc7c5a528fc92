//! Kafka transactions: the records of one or more pages and the cursor are committed together or not at all. The claim calls
//! [`Transactions::publish`] for each attempt.

use std::time::{Duration, Instant};

use catalog_shared::events;
use catalog_shared::kafka::{self, KafkaArgs};
use catalog_shared::topic_setup::MESSAGE_BYTES_TEXT;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::Producer;
use rdkafka::producer::future_producer::{DeliveryFuture, FutureProducer, FutureRecord};
use tokio::task::spawn_blocking;

use crate::model::outgoing::Outgoing;
use crate::publish::abort_reason::AbortReason;
use crate::publish::commit::commit;
use crate::publish::delivery::{Undelivered, await_all, is_queue_full};
use crate::publish::failure::TransactionError;
use crate::publish::late_ends::{EndTxnContext, LateEnds};
use crate::publish::leaders::{self, Leaders};

type Client = FutureProducer<EndTxnContext>;

/// The timeout of one commit or abort call, which is then repeated.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// The timeout of `init_transactions`.
const INIT_TIMEOUT: Duration = Duration::from_secs(30);

/// A transactional producer. Opening one fences all others with the same id.
pub(crate) struct Transactions {
    client: Client,
    kafka: KafkaArgs,
    call_timeout: Duration,
    late_ends: LateEnds,
    abort_reason: AbortReason,
}

impl Transactions {
    pub(crate) async fn open(kafka: &KafkaArgs, id: &str) -> anyhow::Result<Self> {
        let mut config = kafka.client_config(&[
            ("transactional.id", id),
            ("enable.idempotence", "true"),
            ("acks", "all"),
            // Long enough for a broker restart without an error.
            ("transaction.timeout.ms", "60000"),
            // All records of a transaction are sent, then all are awaited, so lingering gains nothing.
            ("linger.ms", "0"),
            ("compression.codec", "lz4"),
            // The limit of our topics.
            ("message.max.bytes", MESSAGE_BYTES_TEXT),
            ("allow.auto.create.topics", "false"),
        ])?;
        let context = EndTxnContext::new(&mut config);
        let (late_ends, abort_reason) = (context.ends(), context.abort_reason());
        let client: Client = kafka::create(&config, context)?;
        let starting = client.clone();
        spawn_blocking(move || starting.init_transactions(INIT_TIMEOUT)).await??;
        Ok(Self { client, kafka: kafka.clone(), call_timeout: CALL_TIMEOUT, late_ends, abort_reason })
    }

    /// Whether an `EndTxn` request may still be in flight. Then the next transaction needs a new instance.
    pub(crate) fn may_end_late(&self) -> bool {
        self.late_ends.any()
    }

    /// Publishes records in one transaction.
    pub(crate) async fn publish(&self, records: &[Outgoing]) -> Result<(), TransactionError> {
        self.abort_reason.clear();
        self.client.begin_transaction().map_err(|error| TransactionError::Fatal(error.to_string()))?;
        match self.deliver(records).await {
            Ok(()) => {
                tracing::debug!(
                    event = events::RECORDS_DELIVERED,
                    records = records.len(),
                    "records delivered"
                );
                self.commit().await
            }
            Err(undelivered) => Err(self.undelivered(records, undelivered).await),
        }
    }

    /// Aborts after a record was not delivered.
    async fn undelivered(&self, records: &[Outgoing], undelivered: Undelivered) -> TransactionError {
        let Undelivered { key, error } = undelivered;
        let mut reason = self.abort_reason.get();
        let to_error = match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::MessageSizeTooLarge) => TransactionError::Refused,
            // Checked before the abort, which may take as long as an outage.
            Some(RDKafkaErrorCode::MessageTimedOut) => match leaders::state(&self.kafka, records).await {
                Leaders::Up => TransactionError::Slow,
                Leaders::Down => TransactionError::Unreachable,
                Leaders::FewInSync(few) => {
                    reason = Some(few);
                    TransactionError::FewReplicas
                }
            },
            _ => TransactionError::Aborted,
        };
        let bytes: usize = records.iter().map(|record| record.value.len()).sum();
        let reason = reason.map(|reason| format!("; {reason}")).unwrap_or_default();
        let cause = format!("{} records of {bytes} bytes; {key}: {error}{reason}", records.len());
        self.abort(cause, to_error).await
    }

    /// Sends all records and awaits them, so that the commit has nothing left to flush.
    async fn deliver(&self, records: &[Outgoing]) -> Result<(), Undelivered> {
        let mut pending = Vec::with_capacity(records.len());
        for record in records {
            let mut sent = self.send(record);
            if sent.as_ref().is_err_and(is_queue_full) {
                await_all(pending.drain(..)).await?;
                sent = self.send(record);
            }
            let delivery = sent.map_err(|error| Undelivered { key: record.key.clone(), error })?;
            pending.push((record, delivery));
        }
        await_all(pending).await
    }

    fn send(&self, record: &Outgoing) -> Result<DeliveryFuture, KafkaError> {
        let message = FutureRecord::to(&record.topic)
            .partition(record.partition)
            .key(&record.key)
            .payload(record.value.as_ref())
            .headers(OwnedHeaders::clone(&record.headers));
        self.client.send_result(message).map_err(|(error, _)| error)
    }

    async fn commit(&self) -> Result<(), TransactionError> {
        let start = Instant::now();
        loop {
            let (client, timeout) = (self.client.clone(), self.call_timeout);
            let answer = spawn_blocking(move || commit(&client, timeout)).await;
            self.late_ends.record(start);
            match answer.map_err(|error| TransactionError::Fatal(error.to_string()))? {
                Ok(()) => return Ok(()),
                // A commit that timed out is continued by calling it again, never by an abort.
                Err(error) if error.retriable => {
                    tracing::warn!(event = events::COMMIT_RETRIED, %error, "commit timed out, retrying")
                }
                Err(error) if error.requires_abort => {
                    return Err(self.abort(error.to_string(), TransactionError::Aborted).await);
                }
                Err(error) => return Err(TransactionError::Fatal(error.to_string())),
            }
        }
    }

    /// Aborts. Returns the error that `to_error` makes of the cause.
    async fn abort(&self, cause: String, to_error: fn(String) -> TransactionError) -> TransactionError {
        let start = Instant::now();
        loop {
            if let Some((code, reason)) = self.client.client().fatal_error() {
                return TransactionError::Fatal(format!("{code}: {reason}; {cause}"));
            }
            let (client, timeout) = (self.client.clone(), self.call_timeout);
            let answer = spawn_blocking(move || client.abort_transaction(timeout)).await;
            self.late_ends.record(start);
            match answer {
                Ok(Ok(())) => return to_error(cause),
                Ok(Err(KafkaError::Transaction(error))) if error.is_retriable() => {
                    tracing::warn!(event = events::ABORT_RETRIED, %error, "abort timed out, retrying");
                }
                // Kafka has nothing to abort, for example, if it has not accepted any partition.
                Ok(Err(error)) => return TransactionError::Fatal(format!("{error}; {cause}")),
                Err(error) => return TransactionError::Fatal(format!("{error}; {cause}")),
            }
        }
    }
}

#[cfg(test)]
mod tests;
