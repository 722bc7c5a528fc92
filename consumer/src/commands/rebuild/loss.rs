//! What topics that have lost their beginning can't speak of: the rows of the runs before the first full run that lies
//! completely behind the first offsets. See `docs/explanation/rebuilding.md`.

use std::collections::BTreeSet;

use catalog_shared::exit::Stop;
use catalog_shared::kafka::KafkaArgs;
use catalog_shared::record::RecordType;
use catalog_shared::region::Region;
use catalog_shared::topics::Topics;
use serde::Serialize;
use sqlx::{FromRow, PgConnection, PgPool};

use super::targets::ReplayTargets;
use crate::kafka::lost_records::{self, LostRecords};
use crate::sync::decisions::DecisionSync;

/// From which run on the topics speak of everything in a region.
#[derive(Clone, Debug, FromRow, Serialize)]
pub(crate) struct Floor {
    pub(crate) region: String,
    /// The first full run that lies completely behind the first offsets; none before there is one.
    pub(crate) run: Option<i64>,
    /// How many active assets were last seen before it.
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

    /// Whether each active asset was seen again behind the first offsets.
    const fn is_healed(&self) -> bool {
        !self.is_crawled || (self.run.is_some() && self.active_below == 0)
    }
}

/// Which rows stay as they are: those below the floors in the tables of some topics.
#[derive(Default)]
pub(super) struct Kept<'a> {
    pub(super) floors: &'a [Floor],
    pub(super) topics: Vec<String>,
}

/// Which partitions have lost their beginning, and what follows.
pub(super) struct Loss {
    pub(super) lost: Vec<LostRecords>,
    of_verdicts: bool,
    /// None where nothing is lost.
    pub(super) floors: Vec<Floor>,
}

impl Loss {
    pub(super) async fn find(targets: &ReplayTargets, kafka: &KafkaArgs) -> anyhow::Result<Self> {
        let mut lost: Vec<LostRecords> =
            targets.ranges().filter_map(|(place, low, _)| LostRecords::of(place, low)).collect();
        let verdicts = lost_records::of_verdicts(kafka).await?;
        let of_verdicts = !verdicts.is_empty();
        lost.extend(verdicts);
        Ok(Self { lost, of_verdicts, floors: Vec::new() })
    }

    /// Finds the floors by the books that the session looks into.
    ///
    /// # Errors
    /// [`Stop::Guard`] where active assets lie below them and `accept` is false, or what the database or Kafka said.
    pub(super) async fn weigh(
        &mut self,
        db: &mut PgConnection,
        verdicts: &DecisionSync,
        (are_new, accept): (bool, bool),
    ) -> anyhow::Result<()> {
        if self.lost.is_empty() {
            return Ok(());
        }
        let said = if self.of_verdicts { verdicts.decisions().await? } else { Vec::new() };
        // Verdicts have no end-of-run markers: they are compared run by run.
        let data: Vec<&LostRecords> =
            self.lost.iter().filter(|lost| lost.topic != verdicts.topic()).collect();
        self.floors = sqlx::query_as(include_str!("../../../sql/rebuild/find_floors.sql"))
            .bind(Region::ALL.map(Region::name))
            .bind(data.iter().map(|lost| lost.topic.as_str()).collect::<Vec<_>>())
            .bind(data.iter().map(|lost| lost.partition).collect::<Vec<_>>())
            .bind(data.iter().map(|lost| lost.first_offset).collect::<Vec<_>>())
            .bind(self.of_verdicts)
            .bind(said.iter().map(|verdict| verdict.region.name()).collect::<Vec<_>>())
            .bind(said.iter().map(|verdict| i64::from(verdict.run)).collect::<Vec<_>>())
            .bind(are_new)
            .fetch_all(db)
            .await?;
        self.judge(accept)
    }

    /// What a rebuild keeps. Decisions that are lost bear on the assets alone.
    pub(super) fn kept(&self, topics: &Topics) -> Kept<'_> {
        let verdicts = topics.verdicts();
        let table = |lost: &LostRecords| {
            if lost.topic == verdicts { topics.data(RecordType::Datasets) } else { lost.topic.clone() }
        };
        let topics: BTreeSet<String> = self.lost.iter().map(table).collect();
        Kept { floors: &self.floors, topics: topics.into_iter().collect() }
    }

    fn judge(&self, accept: bool) -> anyhow::Result<()> {
        let floors = self.floors_text();
        if !accept && !self.is_healed() {
            return Err(self.refuse(&floors).into());
        }
        tracing::warn!(
            partitions = lost_records::list(&self.lost),
            floors,
            "topics have lost their first records; rows that were last seen before these runs stay as they are"
        );
        Ok(())
    }

    /// Whether each active asset of each region was seen again. No region at all means that everything is lost.
    fn is_healed(&self) -> bool {
        self.floors.iter().all(Floor::is_healed) && self.floors.iter().any(|floor| floor.run.is_some())
    }

    fn floors_text(&self) -> String {
        let crawled = self.floors.iter().filter(|floor| floor.is_crawled);
        crawled.map(Floor::text).collect::<Vec<_>>().join("; ")
    }

    fn refuse(&self, floors: &str) -> Stop {
        let floors = if floors.is_empty() { "no run is left" } else { floors };
        Stop::Guard(format!(
            "records are lost: {}. A compacted topic begins at 0 for ever, unless records were deleted (look at its \
             cleanup.policy). The first full run of each region that lies completely behind these offsets is: {floors}. \
             Nothing was changed. `--accept-loss` goes on: rows that were last seen before that run stay as they are, \
             all others become what the topics contain. Full crawls that see all assets again make the flag \
             unnecessary",
            lost_records::list(&self.lost)
        ))
    }
}

/// As [`Loss::weigh`], by the books of a shadow whose live tables are new.
pub(super) async fn weigh_new(
    loss: &mut Loss,
    shadow: &PgPool,
    verdicts: &DecisionSync,
    accept: bool,
) -> anyhow::Result<()> {
    loss.weigh(&mut *shadow.acquire().await?, verdicts, (true, accept)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loss(floors: &[(Option<i64>, i64, bool)]) -> Loss {
        let floor = |(run, active_below, is_crawled): &(Option<i64>, i64, bool)| Floor {
            region: "us".into(),
            run: *run,
            active_below: *active_below,
            is_crawled: *is_crawled,
        };
        let lost = vec![LostRecords { topic: "t".into(), partition: 0, first_offset: 600 }];
        Loss { lost, of_verdicts: false, floors: floors.iter().map(floor).collect() }
    }

    #[test]
    fn a_loss_is_healed_once_each_active_asset_was_seen_again() {
        let healed = |floors: &[(Option<i64>, i64, bool)]| loss(floors).is_healed();
        assert!(healed(&[(Some(7), 0, true), (None, 0, false)]));
        assert!(!healed(&[(Some(7), 1, true), (None, 0, false)]));
        assert!(!healed(&[(Some(7), 0, true), (None, 0, true)]));
        // Nothing is left of any region.
        assert!(!healed(&[(None, 0, false), (None, 0, false)]));
    }

    #[test]
    fn the_message_names_partitions_offsets_and_the_run() {
        let error = loss(&[(Some(7), 3, true), (None, 0, false)]).judge(false).unwrap_err().to_string();
        for part in ["t[0] begins at offset 600", "us: run 7, with 3 active assets", "--accept-loss"] {
            assert!(error.contains(part), "{error}");
        }
        assert!(loss(&[(Some(7), 3, true)]).judge(true).is_ok());
    }
}
