//! What PostgreSQL and Kafka can do.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use catalog_tests::world::World;
use futures::TryStreamExt;
use futures::future::try_join_all;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use sqlx::PgPool;
use sqlx::postgres::PgPoolCopyExt;

use crate::figure::{Figure, Limit};
use crate::written::{Written, wal};

const TIMEOUT: Duration = Duration::from_secs(30);

/// PostgreSQL's: the rows that the consumer made, copied into an empty table of the same kind.
pub(crate) async fn copy(pool: &PgPool, connections: usize) -> Result<Figure> {
    let make = "create table by_1.limit_of_copy (like by_1.socrata_datasets including all)";
    sqlx::query(make).execute(pool).await?;
    let out = pool.copy_out_raw("copy by_1.socrata_datasets to stdout").await?;
    let rows: Vec<Bytes> = out.try_collect().await?;
    let before = wal(pool).await?;
    let began = Instant::now();
    let share = rows.len().div_ceil(connections).max(1);
    let copied = try_join_all(rows.chunks(share).map(|share| copy_in(pool, share))).await?;
    let seconds = began.elapsed().as_secs_f64();
    let written = Some(Written { wal: wal(pool).await? - before, dead: 0 });
    sqlx::query("drop table by_1.limit_of_copy").execute(pool).await?;
    let records = copied.into_iter().sum();
    Ok(Figure { what: Limit::Copy.name(), connections, records, seconds, written, limit: None })
}

async fn copy_in(pool: &PgPool, rows: &[Bytes]) -> Result<u64> {
    let mut copy = pool.copy_in_raw("copy by_1.limit_of_copy from stdin").await?;
    for row in rows {
        copy.send(&row[..]).await?;
    }
    Ok(copy.finish().await?)
}

/// Kafka's: all records of the four topics, read as committed and dropped. As of the consumer, time counts
/// from the first record.
pub(crate) fn read(world: &World) -> Result<Figure> {
    let mut config = world.kafka();
    config.set("group.id", "bench").set("enable.partition.eof", "true").set("fetch.wait.max.ms", "50");
    // A full queue would make the client rest for a second.
    config.set("fetch.queue.backoff.ms", "10");
    let consumer: BaseConsumer = config.create()?;
    let mut assignment = TopicPartitionList::new();
    for (name, partitions) in [("datasets", 6), ("domains", 1), ("hosts", 1), ("agencies", 1)] {
        for partition in 0..partitions {
            assignment.add_partition_offset(&world.topic(name), partition, Offset::Beginning)?;
        }
    }
    consumer.assign(&assignment)?;
    let (mut records, mut ends, mut began) = (0, 0, None);
    while ends < assignment.count() {
        match consumer.poll(TIMEOUT).context("Kafka answers")? {
            Ok(_) => records += 1,
            Err(KafkaError::PartitionEOF(_)) => ends += 1,
            Err(error) => return Err(error.into()),
        }
        began.get_or_insert_with(Instant::now);
    }
    ensure!(records > 0, "the topics are empty");
    let seconds = began.context("something was read")?.elapsed().as_secs_f64();
    Ok(Figure { what: Limit::Read.name(), connections: 1, records, seconds, written: None, limit: None })
}
