//! Looks at the topics without changing them.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use rdkafka::admin::{AdminOptions, ConfigResource, ResourceSpecifier};
use rdkafka::metadata::MetadataTopic;
use tokio::task::spawn_blocking;

use super::{Admin, MESSAGE_BYTES, TopicSpec, specs};
use crate::kafka::{self, KafkaArgs, LogContext};

/// A topic as it is.
#[derive(Clone, Debug)]
pub struct TopicState {
    /// The topic.
    pub name: String,
    /// The number of partitions; 0 if the topic does not exist or is hidden from this user.
    pub partitions: usize,
    /// What is wrong with it.
    pub faults: Vec<TopicFault>,
}

/// What may be wrong with a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TopicFault {
    /// It does not exist, or this user lacks DESCRIBE on it.
    Missing,
    /// A partition has no leader.
    WithoutLeader,
    /// It has fewer partitions than it needs.
    FewPartitions {
        /// The number that it needs.
        least: i32,
    },
    /// This user lacks DESCRIBE_CONFIGS on it.
    SettingsHidden,
    /// A setting has a value that loses or refuses records.
    Setting {
        /// The setting.
        name: &'static str,
        /// Its value.
        is: String,
        /// The value that it must have, or the smallest one.
        must: String,
        /// Whether the producer refuses the topic. Otherwise it only limits what a late consumer can read.
        is_fatal: bool,
    },
}

/// Reads the state of all topics.
///
/// # Errors
/// If Kafka does not answer within `limit`.
pub async fn inspect(kafka: &KafkaArgs, limit: Duration) -> anyhow::Result<Vec<TopicState>> {
    let admin: Arc<Admin> = Arc::new(kafka::create(&kafka.client_config(&[])?, LogContext::default())?);
    // The number of partitions of new topics does not matter here.
    let specs = specs(&kafka.topics(), 1);
    let client = Arc::clone(&admin);
    let metadata = spawn_blocking(move || client.inner().fetch_metadata(None, limit)).await?;
    let metadata = metadata.context("Kafka is unreachable")?;
    let find = |name: &str| metadata.topics().iter().find(|topic| topic.name() == name);
    let existing: Vec<&TopicSpec> = specs.iter().filter(|spec| find(&spec.name).is_some()).collect();
    let settings = settings(&admin, &existing, limit).await?;
    let state = |spec: &TopicSpec| {
        let found = settings.iter().find(|(name, _)| *name == spec.name).map(|(_, settings)| settings);
        state(spec, find(&spec.name), found)
    };
    Ok(specs.iter().map(state).collect())
}

/// The settings of topics by name. Those that this user may not read are missing.
async fn settings(
    admin: &Admin,
    topics: &[&TopicSpec],
    limit: Duration,
) -> anyhow::Result<Vec<(String, ConfigResource)>> {
    if topics.is_empty() {
        return Ok(Vec::new());
    }
    let resources: Vec<_> = topics.iter().map(|topic| ResourceSpecifier::Topic(&topic.name)).collect();
    let options = AdminOptions::new().request_timeout(Some(limit));
    let answers = admin.describe_configs(&resources, &options).await?;
    // Answers are in the order of the request.
    let named =
        topics.iter().zip(answers).filter_map(|(topic, answer)| Some((topic.name.clone(), answer.ok()?)));
    Ok(named.collect())
}

fn state(spec: &TopicSpec, topic: Option<&MetadataTopic>, settings: Option<&ConfigResource>) -> TopicState {
    let Some(topic) = topic.filter(|topic| !topic.partitions().is_empty()) else {
        return TopicState { name: spec.name.clone(), partitions: 0, faults: vec![TopicFault::Missing] };
    };
    let is_led = topic.partitions().iter().all(|partition| partition.leader() >= 0);
    let mut faults = if is_led { Vec::new() } else { vec![TopicFault::WithoutLeader] };
    if i32::try_from(topic.partitions().len()).is_ok_and(|found| found < spec.partitions) {
        faults.push(TopicFault::FewPartitions { least: spec.partitions });
    }
    let value = |name: &str| {
        let entry = settings.and_then(|settings| settings.get(name));
        entry.and_then(|entry| entry.value.clone())
    };
    faults.extend(setting_faults(spec, replicas(topic), value));
    TopicState { name: spec.name.clone(), partitions: topic.partitions().len(), faults }
}

/// The smallest number of replicas of a partition.
pub(super) fn replicas(topic: &MetadataTopic) -> usize {
    topic.partitions().iter().map(|partition| partition.replicas().len()).min().unwrap_or_default()
}

/// What is wrong with the settings of a topic whose partitions have this number of replicas.
pub(super) fn setting_faults(
    spec: &TopicSpec,
    replicas: usize,
    value: impl Fn(&str) -> Option<String>,
) -> Vec<TopicFault> {
    // The client omits the broker's answer that this user is not authorized.
    let (Some(policy), Some(bytes)) = (value("cleanup.policy"), value("max.message.bytes")) else {
        return vec![TopicFault::SettingsHidden];
    };
    let is_small = |value: &str, least: i64| value.parse::<i64>().is_ok_and(|value| value < least);
    let mut faults = Vec::new();
    let mut fault = |name, is: String, must: String, is_fatal| {
        faults.push(TopicFault::Setting { name, is, must, is_fatal });
    };
    if spec.settings.contains(&("cleanup.policy", "compact")) && policy != "compact" {
        fault("cleanup.policy", policy, "compact".to_owned(), true);
    }
    if is_small(&bytes, i64::try_from(MESSAGE_BYTES).unwrap_or(i64::MAX)) {
        fault("max.message.bytes", bytes, MESSAGE_BYTES.to_string(), true);
    }
    let in_sync = value(MIN_IN_SYNC).unwrap_or_default();
    if in_sync.parse().is_ok_and(|least: usize| least > replicas) {
        fault(MIN_IN_SYNC, in_sync, replicas.to_string(), true);
    }
    for (name, least) in spec.settings.iter().filter(|(name, _)| LEAST.contains(name)) {
        let is = value(name).unwrap_or_default();
        // -1 is no limit.
        if is_small(&is, least.parse().unwrap_or_default()) && is != "-1" {
            fault(name, is, (*least).to_owned(), false);
        }
    }
    faults
}

/// Records need this number of replicas in sync. With fewer replicas, no record is ever accepted.
pub(super) const MIN_IN_SYNC: &str = "min.insync.replicas";

/// Settings with a recommended minimum.
const LEAST: [&str; 2] = ["min.compaction.lag.ms", "retention.ms"];

#[cfg(test)]
mod tests {
    use super::super::{DATA, DEAD};
    use super::*;

    fn faults(
        settings: &'static [(&'static str, &'static str)],
        changed: &[(&str, &str)],
    ) -> Vec<TopicFault> {
        let spec = TopicSpec { name: "t".into(), partitions: 1, settings };
        let find = |list: &[(&str, &str)], name: &str| {
            list.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        setting_faults(&spec, 1, |name| find(changed, name).or_else(|| find(settings, name)))
    }

    #[test]
    fn topics_as_the_producer_creates_them_have_no_faults() {
        assert_eq!((faults(DATA, &[]), faults(DEAD, &[])), (vec![], vec![]));
        assert_eq!(faults(DEAD, &[("retention.ms", "-1")]), []);
    }

    #[test]
    fn settings_that_lose_or_refuse_records_are_faults() {
        let fault = |name, is: &str, must: &str, is_fatal| TopicFault::Setting {
            name,
            is: is.into(),
            must: must.into(),
            is_fatal,
        };
        assert_eq!(
            faults(DATA, &[("cleanup.policy", "delete"), ("max.message.bytes", "1048588")]),
            [
                fault("cleanup.policy", "delete", "compact", true),
                fault("max.message.bytes", "1048588", "8388608", true)
            ]
        );
        assert_eq!(
            faults(DATA, &[("min.compaction.lag.ms", "0")]),
            [fault("min.compaction.lag.ms", "0", "604800000", false)]
        );
        assert_eq!(faults(DATA, &[("min.insync.replicas", "1")]), []);
        assert_eq!(
            faults(DATA, &[("min.insync.replicas", "2")]),
            [fault("min.insync.replicas", "2", "1", true)]
        );
        let spec = TopicSpec { name: "t".into(), partitions: 1, settings: DATA };
        assert_eq!(setting_faults(&spec, 1, |_| None), [TopicFault::SettingsHidden]);
    }
}
