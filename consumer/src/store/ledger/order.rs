//! The order of runs. A producer numbers its runs upwards, ends each run before the next, and writes no record after its
//! end. A record after its run's end means that the producer lost its cursor and restarted its run numbers. Its versions
//! would look superseded, and its records would be counted for the other run.

use std::collections::BTreeSet;

use catalog_shared::exit::Stop;
use catalog_shared::region::Region;
use sqlx::PgConnection;

use crate::model::effect::Applied;
use crate::model::topic::TopicPartition;

/// A record's run, and the ended run that it follows.
struct Late {
    region: Region,
    run: i64,
    ended: i64,
}

/// Checks the uncounted records of a batch against the end-of-run records of the ledger.
///
/// # Errors
/// [`Stop::Guard`] for a record after the end of its run or of a later run, or the error of the database.
pub(crate) async fn check(
    tx: &mut PgConnection,
    topic_partition: &TopicPartition,
    counted_to: i64,
    applied: &[Applied],
) -> anyhow::Result<()> {
    let uncounted = applied.iter().filter(|record| record.offset >= counted_to);
    let runs = uncounted.map(|record| (record.region, record.run)).collect();
    match find_late(tx, topic_partition, &runs).await? {
        None => Ok(()),
        Some(late) => Err(refuse(tx, &late).await?.into()),
    }
}

async fn find_late(
    tx: &mut PgConnection,
    topic_partition: &TopicPartition,
    runs: &BTreeSet<(Region, u32)>,
) -> sqlx::Result<Option<Late>> {
    if runs.is_empty() {
        return Ok(None);
    }
    let late: Option<(String, i64, i64)> =
        sqlx::query_as(include_str!("../../../sql/ledger/find_ended_run.sql"))
            .bind(&topic_partition.topic)
            .bind(topic_partition.partition)
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
        "records of run {run} of {region} come after run {ended} had ended: the producer lost its cursor and \
         restarted its run numbers. Nothing of the batch was written, and a restart stops here again. Stop the \
         producer of {region} and all consumers of the group, set the group's offsets past these records \
         (`kafka-consumer-groups --group … --all-topics --reset-offsets --to-latest --execute`), and crawl with \
         `catalog-producer crawl --region {region} --restart --first-run {next}`: that run publishes the skipped records again"
    )))
}
