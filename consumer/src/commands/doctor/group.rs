//! The consumer group, and the rights to read the topics.

use std::sync::Arc;
use std::time::Duration;

use catalog_shared::doctor::{Finding, shell_word};
use catalog_shared::human::counted;
use catalog_shared::kafka::KafkaArgs;
use catalog_shared::kafka_doctor::{failed, grant_group, grant_topics, reached};
use catalog_shared::record::RecordType;
use rdkafka::consumer::Consumer;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::MISSING_TOPIC;
use crate::kafka::data_partitions::{NoTopic, data_partitions};
use crate::kafka::decision_log::DecisionLog;
use crate::kafka::detached_reader::DetachedReader;
use crate::kafka::group_members::group_members;
use crate::kafka::offsets;
use crate::kafka::oldest_unread;
use crate::kafka::partitions::{await_metadata, watermarks};

const GROUP: &str = "group";
const GROUP_RIGHTS: &str = "group_rights";
const RIGHTS: &str = "topic_rights";

/// The members of the group.
pub(super) async fn members(kafka: KafkaArgs, group: String) -> anyhow::Result<Vec<Finding>> {
    if let Err(skipped) = reached(&kafka, GROUP).await {
        return Ok(vec![skipped]);
    }
    let reader = DetachedReader::open(&kafka, &group)?;
    let (client, topic, name) =
        (Arc::clone(reader.get()), kafka.topics().data(RecordType::Datasets), group.clone());
    let listed = spawn_blocking(move || {
        await_metadata(client.client(), &topic)?;
        group_members(client.client(), &name)
    });
    let members = match listed.await? {
        Ok(members) => members,
        Err(error) => {
            return Ok(vec![failed(GROUP, error, &kafka, grant_group(&kafka, &group))]);
        }
    };
    if members.is_empty() {
        let found = format!("no consumer of the group {group} is running");
        return Ok(vec![Finding::warning(
            GROUP,
            found,
            format!("catalog-consumer run --group {}", shell_word(&group)),
        )]);
    }
    let mut hosts: Vec<&str> = members.iter().map(|member| member.host.trim_start_matches('/')).collect();
    hosts.sort_unstable();
    hosts.dedup();
    let number = counted(members.len() as u64, "consumer", "consumers");
    Ok(vec![Finding::ok(GROUP, format!("{number} of the group {group} on {}", hosts.join(", ")))])
}

/// Whether this user may be a member of the group, without becoming one. Kafka answers for at most half of `limit`.
pub(super) async fn group_rights(
    kafka: KafkaArgs,
    group: String,
    limit: Duration,
) -> anyhow::Result<Vec<Finding>> {
    if let Err(skipped) = reached(&kafka, GROUP_RIGHTS).await {
        return Ok(vec![skipped]);
    }
    let reader = DetachedReader::open(&kafka, &group)?;
    let (client, topic) = (Arc::clone(reader.get()), kafka.topics().data(RecordType::Datasets));
    let tried = spawn_blocking(move || offsets::try_commit(&*client, &topic));
    Ok(vec![match timeout(limit / 2, tried).await {
        Ok(tried) => match tried? {
            Ok(()) => Finding::ok(GROUP_RIGHTS, format!("this user may be a member of the group {group}")),
            Err(error) => failed(GROUP_RIGHTS, error.into(), &kafka, grant_group(&kafka, &group)),
        },
        // Kafka was reached before. librdkafka asks for the coordinator again and again, and reports no error.
        Err(_) => {
            let found = format!(
                "Kafka does not name the coordinator of the group {group}; most likely the right DESCRIBE on it is missing"
            );
            Finding::problem(GROUP_RIGHTS, found, grant_group(&kafka, &group))
        }
    }])
}

/// Whether this user may read each topic. Of each data topic, one partition is read at its end, for at most half of `limit`.
pub(super) async fn topic_rights(kafka: KafkaArgs, limit: Duration) -> anyhow::Result<Vec<Finding>> {
    if let Err(skipped) = reached(&kafka, RIGHTS).await {
        return Ok(vec![skipped]);
    }
    // An error of the reader names the partition, so it must come before the time limit.
    Ok(vec![match read_ends(&kafka, limit / 2).await {
        Ok(topics) => {
            Finding::ok(RIGHTS, format!("this user may read {}", counted(topics, "topic", "topics")))
        }
        Err(error) if error.is::<NoTopic>() => Finding::skipped(RIGHTS, MISSING_TOPIC),
        Err(error) => failed(RIGHTS, error, &kafka, grant_topics(&kafka)),
    }])
}

/// Reads the first partition of each data topic at its end, and all decisions. Returns the number of topics.
async fn read_ends(kafka: &KafkaArgs, limit: Duration) -> anyhow::Result<u64> {
    let mut partitions = data_partitions(kafka).await?;
    partitions.retain(|topic_partition| topic_partition.partition == 0);
    let ends = watermarks(kafka, partitions).await?;
    let ends: Vec<_> =
        ends.into_iter().map(|(topic_partition, marks)| (topic_partition, marks.high)).collect();
    let reader = kafka.clone();
    let read = spawn_blocking(move || oldest_unread::find(&reader, &ends, limit)).await??;
    let decisions = DecisionLog::new(kafka).read_to_end().await?;
    Ok(read.len() as u64 + u64::from(decisions.is_some()))
}
