//! Writes the cursors of the new cluster, as the regions' producers would.

use std::time::Duration;

use anyhow::Context;
use catalog_shared::cursor::Cursor;
use catalog_shared::kafka::{self, KafkaArgs, LogContext};
use catalog_shared::region::Region;
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};
use rdkafka::util::Timeout;
use tokio::task::spawn_blocking;

const LIMIT: Duration = Duration::from_secs(30);

/// The right to write a region's cursor. Whoever opens it stops every producer of the region there.
pub(super) struct Writer {
    producer: FutureProducer<LogContext>,
    topic: String,
}

impl Writer {
    /// Opens it under the transactional id of the region.
    ///
    /// # Errors
    /// What Kafka says.
    pub(super) async fn open(kafka: &KafkaArgs, region: Region) -> anyhow::Result<Self> {
        let topics = kafka.topics();
        let id = topics.transactional_id(region);
        let config = kafka.client_config(&[
            ("transactional.id", id.as_str()),
            ("enable.idempotence", "true"),
            ("acks", "all"),
            ("transaction.timeout.ms", "60000"),
            ("message.max.bytes", "8388608"),
            ("allow.auto.create.topics", "false"),
        ])?;
        let producer: FutureProducer<LogContext> = kafka::create(&config, LogContext::default())?;
        let starting = producer.clone();
        spawn_blocking(move || starting.init_transactions(LIMIT))
            .await?
            .with_context(|| format!("can't open transactions as {id}"))?;
        Ok(Self { producer, topic: topics.cursors() })
    }

    /// Commits a cursor. It is the only transaction of this instance, so no late end can reach another one.
    ///
    /// # Errors
    /// What Kafka says. Whether the cursor counts is unknown then; another `move` writes it again.
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
        let ending = self.producer.clone();
        if let Err((error, _)) = sent {
            // The broker aborts what this can't.
            let aborted = spawn_blocking(move || ending.abort_transaction(LIMIT)).await?;
            tracing::debug!(?aborted, "the cursor was not delivered");
            return Err(error.into());
        }
        Ok(spawn_blocking(move || ending.commit_transaction(LIMIT)).await??)
    }
}
