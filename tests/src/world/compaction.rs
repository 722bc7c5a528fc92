//! Topics that are compacted at once. Real ones are compacted after days.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, Result};
use rdkafka::admin::{NewTopic, TopicReplication};
use tokio::time::{interval, timeout};

use super::World;

impl World {
    /// Creates the topics, with 2 partitions for datasets, such that the broker compacts them as soon as it can.
    ///
    /// # Errors
    /// Kafka's error.
    pub async fn make_compacting_topics(&self) -> Result<()> {
        let names = [("datasets", 2), ("domains", 1), ("hosts", 1), ("agencies", 1), ("verdicts", 1)];
        let names = names.map(|(name, partitions)| (self.topic(name), partitions));
        let topics: Vec<_> = names.iter().map(|(name, partitions)| compacting(name, *partitions)).collect();
        self.create_topics(&topics).await
    }

    /// Returns once no key of the datasets has more than two records: the last compacted one, and one
    /// in the active segment.
    ///
    /// # Errors
    /// If that takes too long, or Kafka's error.
    pub async fn until_compacted(&self) -> Result<()> {
        let mut again = interval(Duration::from_millis(200));
        let compacted = async {
            while self.most_records_of_a_key().await? > 2 {
                again.tick().await;
            }
            anyhow::Ok(())
        };
        timeout(Duration::from_secs(60), compacted).await.context("the topic is never compacted")?
    }

    async fn most_records_of_a_key(&self) -> Result<u32> {
        let mut records: HashMap<String, u32> = HashMap::new();
        for record in self.records("datasets").await? {
            *records.entry(record.key).or_default() += 1;
        }
        Ok(records.into_values().max().unwrap_or(0))
    }
}

fn compacting(name: &str, partitions: i32) -> NewTopic<'_> {
    NewTopic::new(name, partitions, TopicReplication::Fixed(1))
        .set("cleanup.policy", "compact")
        .set("max.message.bytes", "8388608")
        .set("segment.ms", "100")
        .set("min.cleanable.dirty.ratio", "0")
        .set("min.compaction.lag.ms", "0")
        .set("max.compaction.lag.ms", "100")
        .set("delete.retention.ms", "0")
}
