//! The checks of a move, before it changes the tables.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use catalog_shared::cursor::Cursor;
use catalog_shared::cursor_reader;
use catalog_shared::exit::Stop;
use catalog_shared::kafka::KafkaArgs;
use catalog_shared::region::Region;
use rdkafka::consumer::Consumer;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::args::Scope;
use super::known::{KnownRuns, LastRun};
use super::scan::PartitionContents;
use crate::kafka::detached_reader::DetachedReader;
use crate::kafka::group_members::{GroupMember, group_members};
use crate::kafka::{errors, offsets};
use crate::model::topic::TopicPartition;

/// Timeout for finding the coordinator of the group, and the delay between two tries.
const COORDINATOR_TIMEOUT: Duration = Duration::from_secs(30);
const RETRY_DELAY: Duration = Duration::from_millis(500);

/// Checks that no consumer of the group runs on the cluster.
///
/// # Errors
/// [`Stop::Guard`] if one does, or an error of Kafka.
pub(super) async fn check_members(kafka: &KafkaArgs, group: &str) -> anyhow::Result<()> {
    let found = members(kafka, group).await?;
    if found.is_empty() {
        return Ok(());
    }
    Err(Stop::Guard(format!(
        "consumers of the group {group} run on {}: {}. Nothing was changed. Stop them and run `move` again. If these tables \
         use another group, name it with --group",
        kafka.brokers,
        found.iter().map(|member| format!("{} on {}", member.client_id, member.host)).collect::<Vec<_>>().join(", ")
    ))
    .into())
}

/// A cluster that no group has used yet has no coordinator. The first request makes it choose one, so it is retried.
async fn members(kafka: &KafkaArgs, group: &str) -> anyhow::Result<Vec<GroupMember>> {
    let deadline = Instant::now() + COORDINATOR_TIMEOUT;
    let reader = DetachedReader::open(kafka, group)?;
    loop {
        match list_members(&reader, kafka, group).await {
            Err(error) if errors::is_retried(&error) && Instant::now() < deadline => {
                tracing::debug!(
                    error = format!("{error:#}"),
                    "can't list the members of the group, retrying"
                );
                sleep(RETRY_DELAY).await;
            }
            listed => return listed,
        }
    }
}

/// Lists the members. Without DESCRIBE on the group Kafka hides the group and its members, so this reads an offset of the
/// group first, which Kafka refuses then.
async fn list_members(
    reader: &DetachedReader,
    kafka: &KafkaArgs,
    group: &str,
) -> anyhow::Result<Vec<GroupMember>> {
    let first = TopicPartition::first_of_datasets(&kafka.topics());
    offsets::owner_metadata(reader.get(), &first).await?;
    let (client, group) = (Arc::clone(reader.get()), group.to_owned());
    spawn_blocking(move || group_members(client.client(), &group)).await?
}

/// The cursors that already exist on the cluster.
pub(super) struct ExistingCursors {
    found: BTreeMap<Region, Cursor>,
    /// The regions whose cursor already continues the run numbers of these tables.
    continued: BTreeSet<Region>,
}

impl ExistingCursors {
    /// Reads the cursors.
    ///
    /// # Errors
    /// An error of Kafka.
    pub(super) async fn read(
        kafka: &KafkaArgs,
        known: &KnownRuns,
        last: &BTreeMap<Region, LastRun>,
    ) -> anyhow::Result<Self> {
        let (mut found, mut continued) = (BTreeMap::new(), BTreeSet::new());
        for region in Region::ALL {
            let Some(cursor) = cursor_reader::read_if_exists(kafka, &kafka.topics(), region).await? else {
                continue;
            };
            let run = known.get(&region).copied().unwrap_or_default();
            if last.get(&region).is_some_and(|last| last.is_continued_by(&cursor, run)) {
                continued.insert(region);
            }
            found.insert(region, cursor);
        }
        Ok(Self { found, continued })
    }

    /// Checks that no cursor is of a run later than the last known one.
    ///
    /// # Errors
    /// [`Stop::Guard`] for the first such cursor.
    pub(super) fn check(&self, kafka: &KafkaArgs, known: &KnownRuns) -> Result<(), Stop> {
        self.found.iter().try_for_each(|(region, cursor)| self.check_run(kafka, known, *region, cursor.run))
    }

    /// Checks that no record is of a run later than the last known one.
    ///
    /// # Errors
    /// [`Stop::Guard`] for the first such record.
    pub(super) fn check_records(
        &self,
        kafka: &KafkaArgs,
        known: &KnownRuns,
        scanned: &[PartitionContents],
    ) -> Result<(), Stop> {
        let runs = scanned.iter().flat_map(|contents| &contents.highest);
        runs.into_iter().try_for_each(|(region, run)| self.check_run(kafka, known, *region, *run))
    }

    fn check_run(&self, kafka: &KafkaArgs, known: &KnownRuns, region: Region, run: u32) -> Result<(), Stop> {
        let last = known.get(&region).copied().unwrap_or_default();
        if run <= last || self.continued.contains(&region) {
            return Ok(());
        }
        let (brokers, prefix) = (&kafka.brokers, &kafka.topic_prefix);
        Err(Stop::Guard(format!(
            "the topics {prefix:?}… on {brokers} contain run {run} of {region}, and the last run in these tables is {last}. \
             Nothing was changed. If the run belongs to another catalog, move to other topics: --topic-prefix NAME. If it \
             came from the old cluster, apply it from there (`catalog-consumer run --until-caught-up`) and run `move` again. \
             To create other tables from these topics: `catalog-consumer run --migrate --schema NAME --group NAME`"
        )))
    }

    /// The regions whose cursor must be written, with their last known run.
    pub(super) fn to_write(&self, scope: &Scope, topic: &str, known: &KnownRuns) -> Vec<(Region, u32)> {
        if !scope.includes(topic) {
            return Vec::new();
        }
        let is_later =
            |region: &Region, run: u32| self.found.get(region).is_some_and(|found| found.run > run);
        known
            .iter()
            .map(|(region, run)| (*region, *run))
            .filter(|(region, run)| !is_later(region, *run))
            .collect()
    }
}

/// Checks that the tables were filled from topics.
///
/// # Errors
/// [`Stop::Guard`] if they are empty.
pub(super) fn check_tables(known: &KnownRuns, positions: i64) -> Result<(), Stop> {
    if !known.is_empty() || positions > 0 {
        return Ok(());
    }
    Err(Stop::Guard(
        "these tables are empty, so there is nothing to move: `catalog-consumer run` fills them from any topics"
            .to_owned(),
    ))
}

/// Checks that no consumer has applied another run since the move started.
///
/// # Errors
/// [`Stop::Guard`] if one has.
pub(super) fn check_unchanged(known: &KnownRuns, now: &KnownRuns) -> Result<(), Stop> {
    if known == now {
        return Ok(());
    }
    Err(Stop::Guard(
        "a consumer applied another run while the move was in progress. Nothing was changed in the tables. Stop all consumers \
         of these tables and run `move` again"
            .to_owned(),
    ))
}
