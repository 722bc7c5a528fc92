//! Topics that lost their first records. A rebuild keeps the rows of earlier runs, because their records may be lost. The
//! floor is the first full run whose records all come after the first offsets. See `docs/explanation/rebuilding.md`.

use std::collections::{BTreeSet, HashMap};

use catalog_shared::events;
use catalog_shared::exit::Stop;
use catalog_shared::kafka::KafkaArgs;
use catalog_shared::record::RecordType;
use catalog_shared::region::Region;
use catalog_shared::topics::Topics;
use serde::Serialize;
use sqlx::{FromRow, PgConnection};

use super::args::ReplaySourceArgs;
use super::targets::ReplayTargets;
use crate::kafka::lost_records::{self, LostRecords};
use crate::kafka::partitions;
use crate::model::topic::TopicPartition;
use crate::model::watermarks::Watermarks;
use crate::sync::decisions::DecisionSync;

/// The first run of a region from which on the topics are complete.
#[derive(Clone, Debug, FromRow, Serialize)]
pub(crate) struct Floor {
    pub(crate) region: String,
    /// The first full run whose records all come after the first offsets; null if there is none yet.
    pub(crate) run: Option<i64>,
    /// The number of active assets that were last seen before this run.
    pub(crate) active_below: i64,
    /// Whether any run of the region is known.
    #[serde(skip)]
    is_crawled: bool,
}

impl Floor {
    fn text(&self) -> String {
        let Self { region, run, active_below, .. } = self;
        match run {
            Some(run) => format!("{region}: run {run}, with {active_below} active assets below it"),
            None => format!("{region}: none yet"),
        }
    }

    /// Whether every active asset was seen again after the first offsets.
    const fn is_recovered(&self) -> bool {
        !self.is_crawled || (self.run.is_some() && self.active_below == 0)
    }
}

/// The rows that stay as they are: those below the floors in the tables of these topics.
#[derive(Default)]
pub(super) struct KeptRows<'a> {
    pub(super) floors: &'a [Floor],
    pub(super) topics: Vec<String>,
}

/// The partitions that lost their first records, and the floors that follow.
pub(super) struct LostRecordsImpact {
    pub(super) lost: Vec<LostRecords>,
    has_lost_decisions: bool,
    /// Whether the live tables are empty, so that the ledger is the shadow's.
    are_tables_new: bool,
    /// Whether active assets below the floors are accepted (`--accept-loss`).
    accept: bool,
    /// Empty if nothing is lost.
    pub(super) floors: Vec<Floor>,
}

impl LostRecordsImpact {
    pub(super) async fn find(targets: &ReplayTargets, args: &ReplaySourceArgs) -> anyhow::Result<Self> {
        let mut lost: Vec<LostRecords> = targets
            .ranges()
            .filter_map(|(topic_partition, low, _)| LostRecords::of(topic_partition, low))
            .collect();
        let lost_decisions = lost_records::of_decisions(&args.kafka).await?;
        let has_lost_decisions = !lost_decisions.is_empty();
        lost.extend(lost_decisions);
        let (are_tables_new, accept) = (targets.are_new(), args.accept_loss);
        Ok(Self { lost, has_lost_decisions, are_tables_new, accept, floors: Vec::new() })
    }

    /// Finds the floors from the ledger in the search path of the session.
    ///
    /// # Errors
    /// [`Stop::Guard`] if active assets are below the floors and that is not accepted, or an error of the database or Kafka.
    pub(super) async fn find_floors(
        &mut self,
        db: &mut PgConnection,
        decisions: &DecisionSync,
    ) -> anyhow::Result<()> {
        if self.lost.is_empty() {
            return Ok(());
        }
        let remaining = if self.has_lost_decisions { decisions.decisions().await? } else { Vec::new() };
        // Decisions have no end-of-run records, so they are compared run by run.
        let data: Vec<&LostRecords> =
            self.lost.iter().filter(|lost| lost.topic != decisions.topic()).collect();
        self.floors = sqlx::query_as(include_str!("../../../sql/rebuild/find_floors.sql"))
            .bind(Region::ALL.map(Region::name))
            .bind(data.iter().map(|lost| lost.topic.as_str()).collect::<Vec<_>>())
            .bind(data.iter().map(|lost| lost.partition).collect::<Vec<_>>())
            .bind(data.iter().map(|lost| lost.first_offset).collect::<Vec<_>>())
            .bind(self.has_lost_decisions)
            .bind(remaining.iter().map(|decision| decision.region.name()).collect::<Vec<_>>())
            .bind(remaining.iter().map(|decision| i64::from(decision.run)).collect::<Vec<_>>())
            .bind(self.are_tables_new)
            .fetch_all(db)
            .await?;
        self.check()
    }

    /// The rows that a rebuild keeps. Lost decisions affect only the assets.
    pub(super) fn kept(&self, topics: &Topics) -> KeptRows<'_> {
        let verdicts = topics.verdicts();
        let table = |lost: &LostRecords| {
            if lost.topic == verdicts { topics.data(RecordType::Datasets) } else { lost.topic.clone() }
        };
        let topics: BTreeSet<String> = self.lost.iter().map(table).collect();
        KeptRows { floors: &self.floors, topics: topics.into_iter().collect() }
    }

    fn check(&self) -> anyhow::Result<()> {
        let floors = self.floors_text();
        if !self.accept && !self.is_recovered() {
            return Err(self.refuse(&floors).into());
        }
        tracing::warn!(
            event = events::LOST_BEGINNINGS,
            partitions = lost_records::list(&self.lost),
            floors,
            "topics have lost their first records; rows that were last seen before these runs stay as they are"
        );
        Ok(())
    }

    /// Whether every active asset of every region was seen again. Without any floor, everything is lost.
    fn is_recovered(&self) -> bool {
        self.floors.iter().all(Floor::is_recovered) && self.floors.iter().any(|floor| floor.run.is_some())
    }

    fn floors_text(&self) -> String {
        let crawled = self.floors.iter().filter(|floor| floor.is_crawled);
        crawled.map(Floor::text).collect::<Vec<_>>().join("; ")
    }

    fn refuse(&self, floors: &str) -> Stop {
        let floors = if floors.is_empty() { "there is none" } else { floors };
        Stop::Guard(format!(
            "records are lost: {}. A compacted topic begins at offset 0 unless records were deleted (check its \
             cleanup.policy). The first full run of each region whose records all come after these offsets: {floors}. \
             Nothing was changed. With `--accept-loss`, rows that were last seen before that run stay as they are, \
             and all others become what the topics contain. The flag is unnecessary after full crawls have seen all \
             assets again",
            lost_records::list(&self.lost)
        ))
    }
}

/// Names the partition that lost records after its first offset was read.
pub(super) async fn find_lost_during_replay(
    kafka: &KafkaArgs,
    positions: HashMap<TopicPartition, i64>,
) -> anyhow::Result<String> {
    let marks = partitions::watermarks(kafka, positions.keys().cloned().collect()).await?;
    let lost = marks.into_iter().find_map(|(topic_partition, Watermarks { low, high })| {
        let position = *positions.get(&topic_partition)?;
        (position < low).then(|| {
            format!(
                "{topic_partition} lost records during the replay: the position is {position}, and the \
                 partition contains offsets {low} to {high}"
            )
        })
    });
    Ok(lost.unwrap_or_else(|| "a partition lost records during the replay".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loss(floors: &[(Option<i64>, i64, bool)]) -> LostRecordsImpact {
        let floor = |(run, active_below, is_crawled): &(Option<i64>, i64, bool)| Floor {
            region: "us".into(),
            run: *run,
            active_below: *active_below,
            is_crawled: *is_crawled,
        };
        let lost = vec![LostRecords { topic: "t".into(), partition: 0, first_offset: 600 }];
        let floors = floors.iter().map(floor).collect();
        LostRecordsImpact { lost, has_lost_decisions: false, are_tables_new: false, accept: false, floors }
    }

    #[test]
    fn a_loss_is_recovered_once_each_active_asset_was_seen_again() {
        let recovered = |floors: &[(Option<i64>, i64, bool)]| loss(floors).is_recovered();
        assert!(recovered(&[(Some(7), 0, true), (None, 0, false)]));
        assert!(!recovered(&[(Some(7), 1, true), (None, 0, false)]));
        assert!(!recovered(&[(Some(7), 0, true), (None, 0, true)]));
        // Every region is lost.
        assert!(!recovered(&[(None, 0, false), (None, 0, false)]));
    }

    #[test]
    fn the_message_names_partitions_offsets_and_the_run() {
        let error = loss(&[(Some(7), 3, true), (None, 0, false)]).check().unwrap_err().to_string();
        for part in ["t[0] begins at offset 600", "us: run 7, with 3 active assets", "--accept-loss"] {
            assert!(error.contains(part), "{error}");
        }
        assert!(LostRecordsImpact { accept: true, ..loss(&[(Some(7), 3, true)]) }.check().is_ok());
    }
}
