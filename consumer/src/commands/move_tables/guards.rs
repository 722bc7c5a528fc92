//! What a move refuses before it writes anything.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use catalog_shared::cursor::Cursor;
use catalog_shared::cursors;
use catalog_shared::exit::Stop;
use catalog_shared::kafka::KafkaArgs;
use catalog_shared::region::Region;
use rdkafka::consumer::Consumer;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::args::Scope;
use super::known::{Known, LastRun};
use super::scan::PartitionContents;
use crate::kafka::admin::{self, GroupMember};
use crate::kafka::{errors, partitions};

/// How long Kafka may take to find the group's coordinator, and how long to wait before it is asked again.
const LIMIT: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(500);

/// Refuses while a consumer of the group runs on the cluster.
///
/// # Errors
/// [`Stop::Guard`] if one does, or what Kafka says.
pub(super) async fn check_members(kafka: &KafkaArgs, group: &str) -> anyhow::Result<()> {
    let found = members(kafka, group).await?;
    if found.is_empty() {
        return Ok(());
    }
    Err(Stop::Guard(format!(
        "consumers of the group {group} run on {}: {}. Nothing was changed. Stop them, then move again; or name the group of \
         these tables with --group if it is another one",
        kafka.brokers,
        found.iter().map(|member| format!("{} on {}", member.client_id, member.host)).collect::<Vec<_>>().join(", ")
    ))
    .into())
}

/// A cluster that no group has used yet has no coordinator at first: the question makes it choose one.
async fn members(kafka: &KafkaArgs, group: &str) -> anyhow::Result<Vec<GroupMember>> {
    let deadline = Instant::now() + LIMIT;
    loop {
        let (watcher, name) = (partitions::watcher(kafka)?, group.to_owned());
        let list = move || admin::group_members(watcher.client(), &name);
        match spawn_blocking(list).await? {
            Err(error) if errors::is_transient(&error) && Instant::now() < deadline => {
                tracing::debug!(error = format!("{error:#}"), "trying again");
                sleep(PAUSE).await;
            }
            listed => return listed,
        }
    }
}

/// What the producers of the regions have written on the cluster so far.
pub(super) struct Cursors {
    found: BTreeMap<Region, Cursor>,
    /// The regions whose numbers go on there already after the last run that the tables know.
    continued: BTreeSet<Region>,
}

impl Cursors {
    /// Reads them.
    ///
    /// # Errors
    /// What Kafka says.
    pub(super) async fn read(
        kafka: &KafkaArgs,
        known: &Known,
        last: &BTreeMap<Region, LastRun>,
    ) -> anyhow::Result<Self> {
        let (mut found, mut continued) = (BTreeMap::new(), BTreeSet::new());
        for region in Region::ALL {
            let Some(cursor) = cursors::read_if_exists(kafka, &kafka.topics(), region).await? else {
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

    /// Refuses runs that the tables can't know.
    ///
    /// # Errors
    /// [`Stop::Guard`] for a region whose cursor is of a later run.
    pub(super) fn check(&self, kafka: &KafkaArgs, known: &Known) -> Result<(), Stop> {
        self.found.iter().try_for_each(|(region, cursor)| self.check_run(kafka, known, *region, cursor.run))
    }

    /// Refuses records of runs that the tables can't know.
    ///
    /// # Errors
    /// [`Stop::Guard`] for the first of them.
    pub(super) fn check_held(
        &self,
        kafka: &KafkaArgs,
        known: &Known,
        held: &[PartitionContents],
    ) -> Result<(), Stop> {
        let runs = held.iter().flat_map(|held| &held.highest);
        runs.into_iter().try_for_each(|(region, run)| self.check_run(kafka, known, *region, *run))
    }

    fn check_run(&self, kafka: &KafkaArgs, known: &Known, region: Region, run: u32) -> Result<(), Stop> {
        let last = known.get(&region).copied().unwrap_or_default();
        if run <= last || self.continued.contains(&region) {
            return Ok(());
        }
        let (brokers, prefix) = (&kafka.brokers, &kafka.topic_prefix);
        Err(Stop::Guard(format!(
            "the topics {prefix:?}… on {brokers} hold run {run} of {region}, and the last run that these tables know is {last}. \
             Nothing was changed. If it is the run of another catalog, move to topics of their own: --topic-prefix NAME. If it \
             came from the old cluster, apply it from there first (`catalog-consumer run --until-caught-up`), then move again. \
             To make other tables from these topics: `catalog-consumer run --migrate --schema NAME --group NAME`"
        )))
    }

    /// The regions whose cursor has to be written.
    pub(super) fn to_write(&self, scope: &Scope, topic: &str, known: &Known) -> Vec<(Region, u32)> {
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

/// Refuses tables that come from no topics at all.
///
/// # Errors
/// [`Stop::Guard`] for them.
pub(super) fn check_tables(known: &Known, positions: i64) -> Result<(), Stop> {
    if !known.is_empty() || positions > 0 {
        return Ok(());
    }
    Err(Stop::Guard(
        "these tables are empty, so there is nothing to move: `catalog-consumer run` fills them from the topics that it is \
         given"
            .to_owned(),
    ))
}

/// Refuses to go on when a consumer has applied something meanwhile.
///
/// # Errors
/// [`Stop::Guard`] in that case.
pub(super) fn check_still(known: &Known, now: &Known) -> Result<(), Stop> {
    if known == now {
        return Ok(());
    }
    Err(Stop::Guard(
        "a consumer has applied another run meanwhile. Nothing was changed in the tables. Stop all consumers of these tables, \
         then move again"
            .to_owned(),
    ))
}
