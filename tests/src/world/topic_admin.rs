//! Changes of topics that other clients or an operator could make.
//!
//! Kafka reports a change as soon as its controller has recorded it. A broker that has not caught up yet still gives out the
//! old partitions, ids and settings. So each change here returns when the broker gives out the new state.

use std::collections::BTreeMap;

use anyhow::{Context, Result, anyhow};
use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, NewPartitions, NewTopic, ResourceSpecifier, TopicResult,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::time::{interval, timeout};

use super::{LIMIT, LOOK_AGAIN, World};

impl World {
    /// The names of this world's existing topics.
    ///
    /// # Errors
    /// Kafka's error.
    pub async fn topics(&self) -> Result<Vec<String>> {
        Ok(self.partition_counts().await?.into_keys().collect())
    }

    /// Creates topics of this world.
    ///
    /// # Errors
    /// Kafka's error, or if a topic is not listed after five minutes.
    pub async fn create_topics(&self, topics: &[NewTopic<'_>]) -> Result<()> {
        each(self.admin()?.create_topics(topics, &AdminOptions::new()).await?)?;
        self.until_counts(|counts| topics.iter().all(|topic| counts.contains_key(topic.name))).await
    }

    /// Deletes topics of this world.
    ///
    /// # Errors
    /// Kafka's error, or if a topic is still listed after five minutes.
    pub async fn delete_topics(&self, topics: &[&str]) -> Result<()> {
        let names: Vec<String> = topics.iter().map(|name| self.topic(name)).collect();
        let borrowed: Vec<&str> = names.iter().map(String::as_str).collect();
        each(self.admin()?.delete_topics(&borrowed, &AdminOptions::new()).await?)?;
        self.until_counts(|counts| !names.iter().any(|name| counts.contains_key(name))).await
    }

    /// Adds partitions to a topic, up to this number.
    ///
    /// # Errors
    /// Kafka's error, or if they are not listed after five minutes.
    pub async fn add_partitions(&self, topic: &str, count: usize) -> Result<()> {
        let topic = self.topic(topic);
        let partitions = NewPartitions::new(&topic, count);
        each(self.admin()?.create_partitions(&[partitions], &AdminOptions::new()).await?)?;
        self.until_counts(|counts| counts.get(&topic) == Some(&count)).await
    }

    /// Sets a topic's policy; `compact` is the one that producers accept.
    ///
    /// # Errors
    /// Kafka's error, or if the topic has another policy after five minutes.
    pub async fn set_policy(&self, topic: &str, policy: &str) -> Result<()> {
        let (admin, topic) = (self.admin()?, self.topic(topic));
        let resource = ResourceSpecifier::Topic(&topic);
        // Settings that are not given fall back to the broker's defaults, which are too small for producers.
        let altered =
            AlterConfig::new(resource).set("cleanup.policy", policy).set("max.message.bytes", "8388608");
        for altered in admin.alter_configs([&altered], &AdminOptions::new()).await? {
            altered.map_err(|(_, code)| anyhow!("{topic}: {code}"))?;
        }
        let mut again = interval(LOOK_AGAIN);
        let is_set = async {
            while policy_of(&admin, &resource).await?.as_deref() != Some(policy) {
                again.tick().await;
            }
            anyhow::Ok(())
        };
        timeout(LIMIT, is_set).await.with_context(|| format!("{topic} never has the policy {policy}"))?
    }

    /// Deletes the records before an offset of a partition, as an operator with the policy `delete` could.
    ///
    /// # Errors
    /// Kafka's error.
    pub async fn delete_before(&self, topic: &str, partition: i32, offset: i64) -> Result<()> {
        self.set_policy(topic, "compact,delete").await?;
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&self.topic(topic), partition, Offset::Offset(offset))?;
        for deleted in self.admin()?.delete_records(&list, &AdminOptions::new()).await?.elements() {
            deleted.error()?;
        }
        Ok(())
    }

    fn admin(&self) -> Result<AdminClient<DefaultClientContext>> {
        Ok(self.kafka().create()?)
    }

    /// The number of partitions of each of this world's topics.
    async fn partition_counts(&self) -> Result<BTreeMap<String, usize>> {
        let (admin, prefix) = (self.admin()?, self.prefix.clone());
        let fetch = move || -> Result<_> {
            let metadata = admin.inner().fetch_metadata(None, LIMIT)?;
            let topics = metadata.topics().iter().filter(|topic| topic.name().starts_with(&prefix));
            Ok(topics.map(|topic| (topic.name().to_owned(), topic.partitions().len())).collect())
        };
        tokio::task::spawn_blocking(fetch).await?
    }

    async fn until_counts(&self, is_done: impl Fn(&BTreeMap<String, usize>) -> bool) -> Result<()> {
        let mut again = interval(LOOK_AGAIN);
        let done = async {
            while !is_done(&self.partition_counts().await?) {
                again.tick().await;
            }
            anyhow::Ok(())
        };
        timeout(LIMIT, done).await.context("the broker's metadata never shows the change")?
    }
}

/// The first error.
fn each(results: Vec<TopicResult>) -> Result<()> {
    for result in results {
        result.map_err(|(topic, code)| anyhow!("{topic}: {code}"))?;
    }
    Ok(())
}

async fn policy_of(
    admin: &AdminClient<DefaultClientContext>,
    topic: &ResourceSpecifier<'_>,
) -> Result<Option<String>> {
    let described = admin.describe_configs([topic], &AdminOptions::new()).await?;
    let described = described.into_iter().next().context("no configuration of the topic")?;
    let config = described.map_err(|code| anyhow!("the topic's configuration: {code}"))?;
    Ok(config.get("cleanup.policy").and_then(|entry| entry.value.clone()))
}
