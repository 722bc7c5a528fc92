//! The order of runs. A producer numbers them upwards, ends each before the next and writes nothing behind
//! its end. What comes there all the same is of a producer whose cursor was lost and that counts anew: its
//! versions would pass for older ones, and its records for the other run's.

use std::collections::BTreeSet;

use catalog_shared::exit::Stop;
use catalog_shared::region::Region;
use sqlx::PgConnection;

use crate::model::effect::Applied;
use crate::model::end_of_run::EndOfRun;
use crate::model::topic::TopicPartition;

/// A record's run, and the one behind whose end it stands.
struct Late {
    region: Region,
    run: i64,
    ended: i64,
}

/// Checks the records of a batch that were not counted before: against its own markers, and against those
/// that are in the books.
///
/// # Errors
/// [`Stop::Guard`] for a record behind the end of its run or of a later one.
pub(crate) async fn check(
    tx: &mut PgConnection,
    place: &TopicPartition,
    counted_to: i64,
    applied: &[Applied],
    markers: &[EndOfRun],
) -> anyhow::Result<()> {
    let uncounted = || applied.iter().filter(|record| record.offset >= counted_to);
    let late = match uncounted().find_map(|record| behind(record, markers)) {
        Some(late) => Some(late),
        None => {
            find_late(tx, place, &uncounted().map(|record| (record.region, record.run)).collect()).await?
        }
    };
    match late {
        None => Ok(()),
        Some(late) => Err(refuse(tx, &late).await?.into()),
    }
}

fn behind(record: &Applied, markers: &[EndOfRun]) -> Option<Late> {
    let &Applied { region, run, offset, .. } = record;
    let ended = markers.iter().find(|marked| marked.ends((region, run), offset))?;
    Some(Late { region, run: run.into(), ended: ended.marker.run.into() })
}

async fn find_late(
    tx: &mut PgConnection,
    place: &TopicPartition,
    runs: &BTreeSet<(Region, u32)>,
) -> sqlx::Result<Option<Late>> {
    if runs.is_empty() {
        return Ok(None);
    }
    let late: Option<(String, i64, i64)> =
        sqlx::query_as(include_str!("../../../sql/ledger/find_ended_run.sql"))
            .bind(&place.topic)
            .bind(place.partition)
            .bind(runs.iter().map(|(region, _)| region.name()).collect::<Vec<_>>())
            .bind(runs.iter().map(|(_, run)| i64::from(*run)).collect::<Vec<_>>())
            .fetch_optional(tx)
            .await?;
    Ok(late.and_then(|(region, run, ended)| Some(Late { region: Region::from_name(&region)?, run, ended })))
}

async fn refuse(tx: &mut PgConnection, late: &Late) -> sqlx::Result<Stop> {
    let Late { region, run, ended } = late;
    let highest: Option<i64> = sqlx::query_scalar(include_str!("../../../sql/ledger/highest_run.sql"))
        .bind(region.name())
        .fetch_one(tx)
        .await?;
    let next = highest.unwrap_or(*ended).max(*ended) + 1;
    Ok(Stop::Guard(format!(
        "records of run {run} of {region} come after run {ended} had ended: the producer's cursor was lost, and it \
         began to count anew. Nothing of the batch was written, and a new start stops here again. Stop the \
         producer of {region} and all consumers of the group, set the group's offsets behind these records \
         (`kafka-consumer-groups --group … --all-topics --reset-offsets --to-latest --execute`), and crawl with \
         `catalog-producer crawl --region {region} --restart --first-run {next}`: that run brings what was skipped"
    )))
}
