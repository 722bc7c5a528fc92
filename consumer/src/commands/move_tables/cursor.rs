//! Writes cursors to the new cluster, as the producers of the regions do.

use std::time::Duration;

use anyhow::Context;
use catalog_shared::cursor::Cursor;
use catalog_shared::kafka::{self, KafkaArgs, LogContext};
use catalog_shared::region::Region;
use catalog_shared::topic_setup::MESSAGE_BYTES_TEXT;
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};
use rdkafka::util::Timeout;
use tokio::task::spawn_blocking;

/// Timeout of each transactional call.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(30);

/// Writes the cursor of one region. Opening it fences every producer of the region on the new cluster.
pub(super) struct CursorWriter {
    producer: FutureProducer<LogContext>,
    topic: String,
}

impl CursorWriter {
    /// Opens a writer with the transactional id of the region.
    ///
    /// # Errors
    /// An error of Kafka.
    pub(super) async fn open(kafka: &KafkaArgs, region: Region) -> anyhow::Result<Self> {
        let topics = kafka.topics();
        let id = topics.transactional_id(region);
        let config = kafka.client_config(&[
            ("transactional.id", id.as_str()),
            ("enable.idempotence", "true"),
            ("acks", "all"),
            ("transaction.timeout.ms", "60000"),
            ("message.max.bytes", MESSAGE_BYTES_TEXT),
            ("allow.auto.create.topics", "false"),
        ])?;
        let producer: FutureProducer<LogContext> = kafka::create(&config, LogContext::default())?;
        let client = producer.clone();
        spawn_blocking(move || client.init_transactions(TRANSACTION_TIMEOUT))
            .await?
            .with_context(|| format!("can't open transactions as {id}"))?;
        Ok(Self { producer, topic: topics.cursors() })
    }

    /// Writes a cursor in a transaction. This instance has no other transaction, so a late commit can't affect one.
    ///
    /// # Errors
    /// An error of Kafka. The transaction is in doubt then; running `move` again writes the cursor again.
    pub(super) async fn write(&self, cursor: &Cursor) -> anyhow::Result<()> {
        let written = self.try_write(cursor).await;
        written.with_context(|| format!("can't write the cursor of region {}", cursor.region))
    }

    async fn try_write(&self, cursor: &Cursor) -> anyhow::Result<()> {
        let value = serde_json::to_vec(cursor)?;
        self.producer.begin_transaction()?;
        let record = FutureRecord::to(&self.topic)
            .partition(cursor.region.cursor_partition())
            .key(cursor.region.name())
            .payload(&value);
        let sent = self.producer.send(record, Timeout::Never).await;
        let client = self.producer.clone();
        if let Err((error, _)) = sent {
            // If the abort fails, the broker aborts the transaction after its timeout.
            let aborted = spawn_blocking(move || client.abort_transaction(TRANSACTION_TIMEOUT)).await?;
            tracing::debug!(?aborted, "the cursor was not delivered");
            return Err(error.into());
        }
        Ok(spawn_blocking(move || client.commit_transaction(TRANSACTION_TIMEOUT)).await??)
    }
}
