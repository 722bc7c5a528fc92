//! `move`: moves the tables to the topics of another Kafka cluster, or to a topic that was deleted and created again.
//!
//! Run numbers continue: the new cursor records that the last known run ended, so the next crawl gets a higher number. The
//! last known run is stored as a floor (`run_floors`), because the new topics don't contain older runs, and rebuilds keep the
//! rows below it. The cursor is written before the database transaction commits, so an interrupted move can be repeated.

use std::collections::BTreeMap;

use anyhow::Context;
use catalog_shared::events;
use catalog_shared::kafka::KafkaArgs;
use catalog_shared::outage;
use catalog_shared::output;
use catalog_shared::record::RecordType;
use catalog_shared::region::Region;
use catalog_shared::topic_setup;
use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::kafka::data_partitions::data_partitions;
use crate::kafka::{offsets, source};
use crate::model::source::Source;
use crate::model::topic::TopicPartition;
use crate::store::schema_lock::{LockMode, lock};
use crate::store::{binding, copy_id, database};
use crate::sync::decisions::DecisionSync;

mod args;
mod cursor;
mod guards;
mod known;
mod plan;
mod report;
mod scan;

pub(crate) use args::MoveArgs;
use args::Scope;
use cursor::CursorWriter;
use guards::ExistingCursors;
use known::{KnownRuns, LastRun};
use plan::{Changed, Plan};
use report::{Continued, MoveSummary, Started};

/// Moves the tables to the topics that `args` name.
///
/// # Errors
/// [`catalog_shared::exit::Stop::Guard`] if the tables can't be moved to these topics; nothing is changed then. Otherwise an
/// error of Kafka or the database; the move can be repeated.
pub(crate) async fn run(args: &MoveArgs) -> anyhow::Result<()> {
    args.kafka.log_config()?;
    let scope = Scope::of(args)?;
    outage::reach(&args.kafka).await?;
    let pool = database::open(&args.database, 1).await?;
    let tables = MovedTables::load(&pool).await?;
    guards::check_tables(&tables.known, tables.positions)?;
    let cluster = check_binding(&pool, &args.kafka, &scope).await?;
    guards::check_members(&args.kafka, &args.group).await?;

    let target = NewTopics::prepare(&args.kafka, args.partitions, &scope, &tables).await?;
    let changed = change(&pool, &args.kafka, (&scope, cluster), &tables, &target).await?;
    pool.close().await;
    let verdicts_published = publish_decisions(args).await;
    commit_group_offsets(args, &target.starts).await;
    let report = target.report(args, &scope, &tables.known, changed, verdicts_published);
    Ok(output::print(args.json, &report, &report)?)
}

/// Checks that there is something to move. Returns the cluster that the tables belong to.
async fn check_binding(pool: &PgPool, kafka: &KafkaArgs, scope: &Scope) -> anyhow::Result<String> {
    let source = source::find(kafka).await?;
    let mut connection = pool.acquire().await?;
    let cluster = match scope {
        Scope::Cluster => binding::check_move(&mut connection, &source).await?,
        Scope::Topic(topic) => binding::check_topic(&mut connection, &source, topic).await?,
    };
    Ok(cluster.unwrap_or_else(|| "unknown".to_owned()))
}

/// The state of the tables before the move.
struct MovedTables {
    known: KnownRuns,
    last: BTreeMap<Region, LastRun>,
    positions: i64,
}

impl MovedTables {
    async fn load(pool: &PgPool) -> anyhow::Result<Self> {
        let mut connection = pool.acquire().await?;
        let known = known::read(&mut connection).await?;
        let mut last = BTreeMap::new();
        for (region, run) in &known {
            last.insert(*region, LastRun::read(&mut connection, *region, *run).await?);
        }
        let count = sqlx::query_scalar(include_str!("../../../sql/move_tables/count_positions.sql"));
        let positions = count.fetch_one(&mut *connection).await.context("can't read the positions")?;
        Ok(Self { known, last, positions })
    }
}

/// The topics that the tables are moved to.
struct NewTopics {
    /// The cursors to write: the region, its last known run, and the writer.
    cursors: Vec<(Region, u32, CursorWriter)>,
    starts: Vec<(TopicPartition, i64)>,
    source: Source,
}

impl NewTopics {
    /// Checks the topics, creates missing ones, and fences the producers of the regions. The checks come first, so a refused
    /// move fences no producer.
    async fn prepare(
        kafka: &KafkaArgs,
        partitions: u16,
        scope: &Scope,
        tables: &MovedTables,
    ) -> anyhow::Result<Self> {
        let (topics, known) = (kafka.topics(), &tables.known);
        let existing = ExistingCursors::read(kafka, known, &tables.last).await?;
        if *scope == Scope::Cluster {
            existing.check(kafka, known)?;
        }
        let regions: Vec<Region> = known.keys().copied().collect();
        topic_setup::ensure(&regions, kafka, &topics, partitions).await?;
        let mut cursors = Vec::new();
        for (region, run) in existing.to_write(scope, &topics.cursors(), known) {
            cursors.push((region, run, CursorWriter::open(kafka, region).await?));
        }
        // A producer may have written a cursor before it was fenced.
        let existing = ExistingCursors::read(kafka, known, &tables.last).await?;
        let topic_partitions = data_partitions(kafka).await?;
        let topic_partitions = topic_partitions
            .into_iter()
            .filter(|topic_partition| scope.includes(&topic_partition.topic))
            .collect();
        let scanned = scan::scan(kafka, topic_partitions, known).await?;
        if *scope == Scope::Cluster {
            existing.check(kafka, known)?;
            existing.check_records(kafka, known, &scanned)?;
        }
        let starts = scanned
            .into_iter()
            .map(|contents| (contents.topic_partition.clone(), contents.start()))
            .collect();
        Ok(Self { cursors, starts, source: source::find(kafka).await? })
    }

    async fn write_cursors(&self, tables: &MovedTables) -> anyhow::Result<()> {
        for (region, run, writer) in &self.cursors {
            let unknown = LastRun::default();
            let last = tables.last.get(region).unwrap_or(&unknown);
            writer.write(&last.cursor(*region, *run)).await?;
        }
        Ok(())
    }

    fn report(
        self,
        args: &MoveArgs,
        scope: &Scope,
        known: &KnownRuns,
        changed: Changed,
        verdicts_published: bool,
    ) -> MoveSummary {
        let is_written = |region: &Region| self.cursors.iter().any(|(written, ..)| written == region);
        let continued = |(region, run): (&Region, &u32)| Continued {
            region: *region,
            run: *run,
            cursor_written: is_written(region),
        };
        let started = |(topic_partition, position): &(TopicPartition, i64)| Started {
            topic: topic_partition.topic.clone(),
            partition: topic_partition.partition,
            position: *position,
        };
        MoveSummary {
            brokers: args.kafka.brokers.clone(),
            topic_prefix: args.kafka.topic_prefix.clone(),
            topic: scope.topic().map(str::to_owned),
            regions: known.iter().map(continued).collect(),
            partitions: self.starts.iter().map(started).collect(),
            changed,
            verdicts_published,
        }
    }
}

/// Changes the tables and writes the cursors.
async fn change(
    pool: &PgPool,
    kafka: &KafkaArgs,
    (scope, cluster): (&Scope, String),
    tables: &MovedTables,
    target: &NewTopics,
) -> anyhow::Result<Changed> {
    let topics = kafka.topics();
    let data = RecordType::ALL.into_iter().map(|kind| topics.data(kind));
    let plan = Plan {
        scope,
        known: &tables.known,
        source: &target.source,
        topics: data.filter(|topic| scope.includes(topic)).collect(),
        starts: target.starts.clone(),
        label: format!("{cluster} until {}", OffsetDateTime::now_utc().format(&Rfc3339)?),
    };
    let mut tx = pool.begin().await.context("can't begin a transaction")?;
    lock(&mut tx, LockMode::Exclusive).await.context("can't take the lock of the schema")?;
    guards::check_unchanged(&tables.known, &known::read(&mut tx).await?)?;
    let changed = plan.apply(&mut tx).await?;
    if scope.includes(&topics.verdicts()) {
        requeue_decisions(&mut tx).await?;
    }
    // The cursors are written last, because every statement that the database might refuse has succeeded by now.
    target.write_cursors(tables).await?;
    tx.commit().await.context("can't commit")?;
    Ok(changed)
}

async fn requeue_decisions(tx: &mut PgConnection) -> anyhow::Result<()> {
    sqlx::query(include_str!("../../../sql/move_tables/requeue_decisions.sql"))
        .execute(tx)
        .await
        .context("can't put the decisions into the outbox")?;
    Ok(())
}

/// Publishes the decisions. Returns whether all are published. The move changed the identity of the tables, so this needs a
/// new connection.
async fn publish_decisions(args: &MoveArgs) -> bool {
    match database::open(&args.database, 1).await {
        Ok(pool) => DecisionSync::new(&args.kafka, &pool).publish_now().await,
        Err(error) => {
            tracing::warn!(
                event = events::DECISIONS_UNPUBLISHED,
                error = database::format_error(&error),
                "decisions are not published yet"
            );
            false
        }
    }
}

/// Commits the offsets of the group, so that offsets from a mirror are not mistaken for an operator's reset.
async fn commit_group_offsets(args: &MoveArgs, starts: &[(TopicPartition, i64)]) {
    if let Err(error) = try_commit_offsets(args, starts).await {
        tracing::warn!(
            event = events::OFFSET_COMMIT_FAILED,
            error = format!("{error:#}"),
            "can't commit the offsets of the group; the stored positions decide"
        );
    }
}

async fn try_commit_offsets(args: &MoveArgs, starts: &[(TopicPartition, i64)]) -> anyhow::Result<()> {
    let copy = copy_id::read(&mut database::connect_migrated(&args.database, 1).await?).await?;
    offsets::commit_without_members(&args.kafka, &args.group, &copy, starts).await
}
