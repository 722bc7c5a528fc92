//! Transactions without an end.

use std::time::Duration;

use anyhow::{Context, Result};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use tokio::task::spawn_blocking;
use tokio::time::{interval, timeout};

use super::{LIMIT, LOOK_AGAIN, World};

const TIMEOUT: Duration = Duration::from_secs(30);

/// A transaction that stays open until this is dropped. To readers of committed records it looks like one whose
/// control records were lost.
pub struct OpenTransaction(BaseProducer);

impl Drop for OpenTransaction {
    fn drop(&mut self) {
        if let Err(error) = self.0.abort_transaction(TIMEOUT) {
            tracing::warn!(%error, "a test's transaction is left to time out");
        }
    }
}

impl World {
    /// Sends a record to a topic's first partition in a transaction that is left open.
    ///
    /// # Errors
    /// Kafka's error.
    pub async fn send_and_leave_open(
        &self,
        topic: &str,
        key: String,
        value: Vec<u8>,
    ) -> Result<OpenTransaction> {
        let (mut config, topic) = (self.kafka(), self.topic(topic));
        config.set("transactional.id", format!("{topic}.left-open"));
        let send = move || {
            let producer: BaseProducer = config.create()?;
            producer.init_transactions(TIMEOUT)?;
            producer.begin_transaction()?;
            let record = BaseRecord::to(&topic).partition(0).key(&key).payload(&value);
            producer.send(record).map_err(|(error, _)| error)?;
            producer.flush(TIMEOUT)?;
            Ok(OpenTransaction(producer))
        };
        spawn_blocking(send).await?
    }

    /// Returns once each transaction on a topic's first partition has ended, which is shortly after its
    /// producer received the answer.
    ///
    /// # Errors
    /// If that takes too long, or Kafka's error.
    pub async fn until_decided(&self, topic: &str) -> Result<()> {
        let mut again = interval(LOOK_AGAIN);
        let decided = async {
            loop {
                let decided = self.end(topic, "read_committed").await?;
                if decided == self.end(topic, "read_uncommitted").await? {
                    return anyhow::Ok(());
                }
                again.tick().await;
            }
        };
        timeout(LIMIT, decided).await.context("a transaction stays open")?
    }

    async fn end(&self, topic: &str, isolation: &str) -> Result<i64> {
        let mut config: ClientConfig = self.kafka();
        config.set("group.id", "tests").set("isolation.level", isolation);
        let topic = self.topic(topic);
        let ask = move || {
            let consumer: BaseConsumer = config.create()?;
            Ok(consumer.fetch_watermarks(&topic, 0, TIMEOUT)?.1)
        };
        spawn_blocking(ask).await?
    }
}
