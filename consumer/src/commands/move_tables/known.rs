//! The runs that the tables know.

use std::collections::BTreeMap;

use anyhow::Context;
use catalog_shared::cursor::{Cursor, PastState, RunParameters, RunState};
use catalog_shared::end_record::EndRecord;
use catalog_shared::region::Region;
use sqlx::types::Json;
use sqlx::{FromRow, PgConnection};
use time::OffsetDateTime;

/// The instance id in a cursor that `move` wrote.
const INSTANCE_ID: &str = "catalog-consumer move";

/// The last run of each region in the ledger or among the decisions.
pub(super) type KnownRuns = BTreeMap<Region, u32>;

/// Reads the last run of each region.
///
/// # Errors
/// An error of the database.
pub(super) async fn read(db: &mut PgConnection) -> anyhow::Result<KnownRuns> {
    let rows: Vec<(String, i64)> =
        sqlx::query_as(include_str!("../../../sql/move_tables/list_known_runs.sql"))
            .fetch_all(db)
            .await
            .context("can't read the runs")?;
    let known = rows.into_iter().filter_map(|(region, run)| Some((Region::from_name(&region)?, run)));
    known.map(|(region, run)| Ok((region, u32::try_from(run)?))).collect()
}

/// The details of a region's last run; all empty if only its decision is known.
#[derive(Debug, Default, FromRow)]
pub(super) struct LastRun {
    #[sqlx(rename = "marker")]
    end_record: Option<Json<EndRecord>>,
    started_at: Option<OffsetDateTime>,
    ended_at: Option<OffsetDateTime>,
}

impl LastRun {
    /// Reads the details of a run.
    ///
    /// # Errors
    /// An error of the database.
    pub(super) async fn read(db: &mut PgConnection, region: Region, run: u32) -> anyhow::Result<Self> {
        let found = sqlx::query_as(include_str!("../../../sql/move_tables/describe_last_run.sql"))
            .bind(region.name())
            .bind(i64::from(run))
            .fetch_optional(db)
            .await
            .context("can't read the last run")?;
        Ok(found.unwrap_or_default())
    }

    /// Whether a cursor continues the run numbers of these tables, because its history contains this run. That happens if
    /// the producer crawled after an interrupted move, after another installation moved, or in a mirrored cluster.
    pub(super) fn is_continued_by(&self, cursor: &Cursor, run: u32) -> bool {
        let Some(Json(record)) = &self.end_record else { return false };
        let is_this_run = |past: &&catalog_shared::cursor::PastRun| {
            past.run == run && past.state == PastState::Ended && past.ended_at == Some(record.ended_at)
        };
        cursor.history.iter().any(|past| is_this_run(&past))
    }

    /// The cursor of a producer that has just ended this run. It names no complete crawl, because the new topics contain
    /// none. So the first crawl must be complete.
    pub(super) fn cursor(&self, region: Region, run: u32) -> Cursor {
        let end_record = self.end_record.as_ref().map(|Json(record)| record);
        let now = OffsetDateTime::now_utc();
        let ended_at = end_record.map(|record| record.ended_at).or(self.ended_at).unwrap_or(now);
        let started_at = end_record.map(|record| record.started_at).or(self.started_at).unwrap_or(ended_at);
        // A run without an end-of-run record is treated as a full crawl.
        let parameters = end_record.map_or_else(RunParameters::full, |record| record.parameters.clone());
        Cursor {
            instance_id: INSTANCE_ID.to_owned(),
            state: RunState::Ended,
            started_at,
            ended_at: Some(ended_at),
            previous_ended: end_record.and_then(|record| record.previous_ended),
            next_page: end_record.map_or(0, |record| record.pages),
            pending: Vec::new(),
            objects: end_record.map_or(0, |record| record.objects),
            ..Cursor::new(region, parameters, run)
        }
    }
}
