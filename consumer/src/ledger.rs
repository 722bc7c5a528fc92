//! The ledger: what became of each record of a run, counted once, and the verdict when its last marker
//! is in.

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use catalog_shared::cursor::Mode;
use catalog_shared::exit::Stop;
use catalog_shared::marker::Marker;
use catalog_shared::region::Region;
use sqlx::types::Json;
use sqlx::{FromRow, PgConnection};

use crate::batch::{Applied, Effect, Marked, Place};

/// What became of a run.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Verdict {
    pub(crate) region: Region,
    pub(crate) run: u32,
    pub(crate) state: &'static str,
    pub(crate) reason: Option<String>,
    pub(crate) published: i64,
    pub(crate) applied: i64,
}

/// Makes sure that runs are in the books, before a batch takes any lock that another may wait for.
pub(crate) async fn open_runs(tx: &mut PgConnection, runs: &[(Region, u32)]) -> sqlx::Result<()> {
    let (regions, numbers): (Vec<&str>, Vec<i64>) =
        runs.iter().map(|(region, run)| (region.name(), i64::from(*run))).unzip();
    sqlx::query(include_str!("../sql/open_runs.sql")).bind(regions).bind(numbers).execute(tx).await?;
    Ok(())
}

/// Counts what records became, but for those before `counted_to`, which were counted before.
///
/// # Errors
/// [`Stop::Guard`] for a run that comes after a later one has ended in the same partition.
pub(crate) async fn count(
    tx: &mut PgConnection,
    place: &Place,
    counted_to: i64,
    applied: &[Applied],
) -> anyhow::Result<()> {
    let mut counts: BTreeMap<(Region, u32), [i64; 4]> = BTreeMap::new();
    for record in applied.iter().filter(|record| record.offset >= counted_to) {
        counts.entry((record.region, record.run)).or_default()[column(record.effect)] += 1;
    }
    if counts.is_empty() {
        return Ok(());
    }
    let regions: Vec<&str> = counts.keys().map(|(region, _)| region.name()).collect();
    let runs: Vec<i64> = counts.keys().map(|(_, run)| i64::from(*run)).collect();
    check_order(tx, place, &regions, &runs).await?;
    let of = |effect: Effect| counts.values().map(|count| count[column(effect)]).collect::<Vec<i64>>();
    sqlx::query(include_str!("../sql/count_records.sql"))
        .bind(&place.topic)
        .bind(place.partition)
        .bind(regions)
        .bind(runs)
        .bind(of(Effect::New))
        .bind(of(Effect::Changed))
        .bind(of(Effect::Unchanged))
        .bind(of(Effect::Older))
        .execute(tx)
        .await?;
    Ok(())
}

/// A producer numbers its runs upwards and ends each before the next. A run that comes after a later one
/// has ended means that its cursor was lost and it began at 1 again: all it publishes would count as older.
async fn check_order(
    tx: &mut PgConnection,
    place: &Place,
    regions: &[&str],
    runs: &[i64],
) -> anyhow::Result<()> {
    let late: Option<i64> = sqlx::query_scalar(include_str!("../sql/find_later_end.sql"))
        .bind(&place.topic)
        .bind(place.partition)
        .bind(regions)
        .bind(runs)
        .fetch_optional(tx)
        .await?;
    let Some(run) = late else { return Ok(()) };
    bail!(Stop::Guard(format!(
        "run {run} was published after a later run had ended: the producer's cursor was lost, and it began to \
         count anew. Crawl into topics of another --topic-prefix and consume these into another --schema; where \
         only the cursor is lost and nothing was crawled since, --first-run goes on counting"
    )))
}

const fn column(effect: Effect) -> usize {
    match effect {
        Effect::New => 0,
        Effect::Changed => 1,
        Effect::Unchanged => 2,
        Effect::Older => 3,
    }
}

/// Enters a marker, and judges the run if it is the last one. The caller holds the one lock alone: two
/// last markers side by side would each miss the other.
pub(crate) async fn close(
    tx: &mut PgConnection,
    place: &Place,
    marked: &Marked,
) -> anyhow::Result<Option<Verdict>> {
    let Marked { region, offset, marker } = marked;
    let run = i64::from(marker.run);
    sqlx::query(include_str!("../sql/mark_partition.sql"))
        .bind(region.name())
        .bind(run)
        .bind(&place.topic)
        .bind(place.partition)
        .bind(i64::try_from(marker.published)?)
        .bind(offset)
        .execute(&mut *tx)
        .await?;
    describe(tx, *region, marker).await?;
    abandon(tx, *region, marker).await?;
    judge(tx, *region, marker).await
}

async fn describe(tx: &mut PgConnection, region: Region, marker: &Marker) -> sqlx::Result<()> {
    let kinds: Vec<&str> = marker.shape.kinds.iter().map(|kind| kind.name()).collect();
    sqlx::query(include_str!("../sql/describe_run.sql"))
        .bind(region.name())
        .bind(i64::from(marker.run))
        .bind(marker.shape.mode.name())
        .bind(kinds)
        .bind(marker.started_at)
        .bind(marker.ended_at)
        .bind(Json(marker))
        .execute(tx)
        .await?;
    Ok(())
}

async fn abandon(tx: &mut PgConnection, region: Region, marker: &Marker) -> sqlx::Result<()> {
    let abandoned: Vec<i64> = sqlx::query_scalar(include_str!("../sql/abandon_runs.sql"))
        .bind(region.name())
        .bind(i64::from(marker.run))
        .bind(marker.previous_ended.map_or(0, i64::from))
        .fetch_all(tx)
        .await?;
    for run in abandoned {
        tracing::info!(%region, run, "the run was abandoned");
    }
    Ok(())
}

/// The sums of a run's ledger.
#[derive(FromRow)]
struct Books {
    markers: i64,
    published: i64,
    applied: i64,
    dead: i64,
    /// The partitions where what was published is not what arrived.
    unbalanced: Vec<String>,
}

async fn judge(tx: &mut PgConnection, region: Region, marker: &Marker) -> anyhow::Result<Option<Verdict>> {
    let run = i64::from(marker.run);
    let books: Books = sqlx::query_as(include_str!("../sql/read_books.sql"))
        .bind(region.name())
        .bind(run)
        .fetch_one(&mut *tx)
        .await?;
    let expected: i32 = marker.partitions.values().sum();
    if books.markers < i64::from(expected) {
        return Ok(None);
    }
    let (state, reason) = verdict(marker, &books);
    let changed: Option<String> = sqlx::query_scalar(include_str!("../sql/judge_run.sql"))
        .bind(region.name())
        .bind(run)
        .bind(state)
        .bind(&reason)
        .bind(books.published)
        .bind(books.applied)
        .bind(books.dead)
        .fetch_optional(tx)
        .await
        .context("can't enter the verdict")?;
    let Books { published, applied, .. } = books;
    Ok(changed.map(|_| Verdict { region, run: marker.run, state, reason, published, applied }))
}

/// A full run is accepted when its books balance to the record; other runs merely end.
fn verdict(marker: &Marker, books: &Books) -> (&'static str, Option<String>) {
    let missed = marker.unkeyed + marker.skipped;
    if marker.shape.mode != Mode::Full {
        ("ended", None)
    } else if !books.unbalanced.is_empty() {
        let places = books.unbalanced.join(", ");
        ("held", Some(format!("what was published and what was applied differ in {places}")))
    } else if missed > 0 {
        ("held", Some(format!("{missed} objects could not be made a record")))
    } else {
        ("balanced", None)
    }
}

#[cfg(test)]
mod tests {
    use catalog_shared::cursor::Shape;
    use time::OffsetDateTime;

    use super::*;

    fn marker(mode: Mode, unkeyed: u64) -> Marker {
        let shape = Shape {
            mode,
            kinds: Vec::new(),
            api_url: String::new(),
            since: None,
            limit: None,
            domains: Vec::new(),
            from: None,
        };
        Marker {
            run: 1,
            shape,
            previous_ended: None,
            started_at: OffsetDateTime::UNIX_EPOCH,
            ended_at: OffsetDateTime::UNIX_EPOCH,
            partitions: BTreeMap::new(),
            published: 0,
            pages: 0,
            objects: 0,
            unkeyed,
            skipped: 0,
            declared: BTreeMap::new(),
            seen: BTreeMap::new(),
        }
    }

    fn books(unbalanced: &[&str]) -> Books {
        let unbalanced = unbalanced.iter().map(|place| (*place).to_owned()).collect();
        Books { markers: 1, published: 5, applied: 5, dead: 0, unbalanced }
    }

    #[test]
    fn only_a_full_run_without_a_gap_is_balanced() {
        assert_eq!(verdict(&marker(Mode::Full, 0), &books(&[])).0, "balanced");
        assert_eq!(verdict(&marker(Mode::Part, 0), &books(&[])).0, "ended");
        let (state, reason) = verdict(&marker(Mode::Full, 0), &books(&["socrata.datasets[1]"]));
        assert_eq!((state, reason.unwrap().contains("socrata.datasets[1]")), ("held", true));
        let (state, reason) = verdict(&marker(Mode::Full, 2), &books(&[]));
        assert_eq!((state, reason.as_deref()), ("held", Some("2 objects could not be made a record")));
    }
}
