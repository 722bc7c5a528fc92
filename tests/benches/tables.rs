//! What the consumer does with a crawl that is all new, one where nothing has changed, and one where a
//! twentieth has, over one connection and over two: records a second, bytes of WAL and dead tuples. Then a
//! rebuild. Beside them the limits of the same machine in the same run: PostgreSQL's raw COPY into the same
//! table, and the topics read as committed by a bare client.
//!
//! ```text
//! eval "$(dev/services up)"; cargo build --release
//! cargo bench -p catalog-tests --bench tables -- --assets 50000
//! ```

use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use catalog_tests::double::{Double, MemoryCatalog, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::{Program, World};
use clap::Parser;
use futures::TryStreamExt;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use serde_json::Value;
use sqlx::postgres::PgPoolCopyExt;
use sqlx::{AssertSqlSafe, PgPool};

/// Measures the consumer against what PostgreSQL and Kafka can do
#[derive(Parser)]
struct Arguments {
    /// Assets of the synthetic catalog, held in memory
    #[arg(long, default_value_t = 50_000)]
    assets: u64,
    /// Records a batch of the consumer
    #[arg(long, default_value_t = 1000)]
    batch_size: usize,
    /// Given by `cargo bench`
    #[arg(long, hide = true)]
    bench: bool,
}

/// The numbers of connections that are measured, each with tables and a group of its own.
const CONNECTIONS: [&str; 2] = ["1", "2"];
const PATIENCE: Duration = Duration::from_secs(30);
const LIMIT: Duration = Duration::from_secs(3600);

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let synthetic = Synthetic::new(arguments.assets, 40);
    let catalog = Arc::new(MemoryCatalog::from_objects(synthetic.objects())?);
    let double = Double::start(Options::shared(Arc::clone(&catalog))).await?;
    let bench = Bench { world: World::new().await?, double, batch_size: arguments.batch_size.to_string() };
    for connections in CONNECTIONS {
        quiet(bench.world.ask(&["migrate", "--schema", &schema(connections)])?).succeed().await?;
    }
    bench.crawl_and_consume("new").await?;
    bench.copy().await?;
    bench.crawl_and_consume("unchanged").await?;
    revise(&catalog, 20)?;
    bench.crawl_and_consume("5 % changed").await?;
    bench.read()?;
    bench.rebuild().await
}

fn schema(connections: &str) -> String {
    format!("by_{connections}")
}

/// As in real life; tests have programs log more.
fn quiet(program: Program) -> Program {
    program.env("RUST_LOG", "info").within(LIMIT)
}

/// Gives every `nth` asset another name.
fn revise(catalog: &MemoryCatalog, nth: usize) -> Result<()> {
    for id in catalog.ids().iter().step_by(nth) {
        let mut object: Value = serde_json::from_slice(&catalog.get(id).context("it is there")?)?;
        object["resource"]["name"] = format!("{id}, revised").into();
        catalog.put(object.to_string())?;
    }
    Ok(())
}

struct Bench {
    world: World,
    double: Double,
    batch_size: String,
}

impl Bench {
    async fn crawl_and_consume(&self, what: &str) -> Result<()> {
        let crawl = self.world.crawl(&self.double)?.args(["--page-size", "1000", "--partitions", "6"]);
        quiet(crawl).succeed().await?;
        for connections in CONNECTIONS {
            let schema = schema(connections);
            let before = Written::read(self.world.pool(), &schema).await?;
            let run = self.world.consume()?.args(["--group", &self.world.topic(&schema)]);
            let run = run.args(["--schema", &schema, "--connections", connections]);
            let summary = quiet(run).args(["--batch-size", &self.batch_size]).succeed().await?.summary()?;
            let after = Written::read(self.world.pool(), &schema).await?;
            tell(what, connections, &summary, &before, &after)?;
        }
        Ok(())
    }

    /// PostgreSQL's limit: the rows that the consumer made, copied into an empty table of the same kind.
    async fn copy(&self) -> Result<()> {
        let pool = self.world.pool();
        let make = "create table by_1.limit_of_copy (like by_1.socrata_datasets including all)";
        sqlx::query(make).execute(pool).await?;
        let out = pool.copy_out_raw("copy by_1.socrata_datasets to stdout").await?;
        let rows: Vec<_> = out.try_collect().await?;
        let before = Written::read(pool, "by_1").await?;
        let began = Instant::now();
        let mut copy = pool.copy_in_raw("copy by_1.limit_of_copy from stdin").await?;
        for row in rows {
            copy.send(row).await?;
        }
        let count = copy.finish().await?;
        let seconds = began.elapsed().as_secs_f64();
        let after = Written::read(pool, "by_1").await?;
        sqlx::query("drop table by_1.limit_of_copy").execute(pool).await?;
        line("limit: COPY of the datasets", "1", count, seconds, &after.since(&before, count)?)
    }

    /// Kafka's limit: all records of the four topics, read as committed and dropped.
    fn read(&self) -> Result<()> {
        let mut config = self.world.kafka();
        config.set("group.id", "bench").set("enable.partition.eof", "true").set("fetch.wait.max.ms", "50");
        let consumer: BaseConsumer = config.create()?;
        let mut assignment = TopicPartitionList::new();
        for (name, partitions) in [("datasets", 6), ("domains", 1), ("hosts", 1), ("agencies", 1)] {
            for partition in 0..partitions {
                assignment.add_partition_offset(&self.world.topic(name), partition, Offset::Beginning)?;
            }
        }
        let began = Instant::now();
        consumer.assign(&assignment)?;
        let (mut count, mut ends) = (0, 0);
        while ends < assignment.count() {
            match consumer.poll(PATIENCE).context("Kafka answers")? {
                Ok(_) => count += 1,
                Err(KafkaError::PartitionEOF(_)) => ends += 1,
                Err(error) => return Err(error.into()),
            }
        }
        line("limit: all read by a bare client", "-", count, began.elapsed().as_secs_f64(), "")
    }

    async fn rebuild(&self) -> Result<()> {
        for connections in CONNECTIONS {
            let rebuild = self.world.rebuild()?.args(["--schema", "by_2", "--connections", connections]);
            let summary = quiet(rebuild).succeed().await?.summary()?;
            let records = summary["records"].as_u64().context("the summary has records")?;
            line("rebuild", connections, records, seconds(&summary)?, "")?;
        }
        Ok(())
    }
}

/// What was written up to now: bytes of WAL by the server, dead tuples of the schema.
struct Written {
    wal: i64,
    dead: i64,
}

impl Written {
    async fn read(pool: &PgPool, schema: &str) -> Result<Self> {
        let wal = "select (pg_current_wal_insert_lsn() - '0/0')::bigint";
        let dead = format!(
            "select coalesce(sum(n_dead_tup), 0)::bigint from pg_stat_user_tables where schemaname = '{schema}'"
        );
        Ok(Self {
            wal: sqlx::query_scalar(wal).fetch_one(pool).await?,
            dead: sqlx::query_scalar(AssertSqlSafe(dead)).fetch_one(pool).await?,
        })
    }

    fn since(&self, before: &Self, records: u64) -> Result<String> {
        let each = (self.wal - before.wal) / i64::try_from(records.max(1))?;
        Ok(format!("{each:>6} B of WAL each {:>6} dead tuples", self.dead - before.dead))
    }
}

fn tell(what: &str, connections: &str, summary: &Value, before: &Written, after: &Written) -> Result<()> {
    let kinds = summary["records"].as_object().context("the summary has records")?;
    let effects = kinds.values().filter_map(Value::as_object).flat_map(|effects| effects.values());
    let records: u64 = effects.filter_map(Value::as_u64).sum();
    line(what, connections, records, seconds(summary)?, &after.since(before, records)?)
}

fn seconds(summary: &Value) -> Result<f64> {
    summary["seconds"].as_f64().context("the summary has seconds")
}

fn line(what: &str, connections: &str, records: u64, seconds: f64, more: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    let rate = records as f64 / seconds;
    let head = format!("{what:33} {connections} connection(s)");
    Ok(writeln!(out, "{head} {records:>8} in {seconds:6.2} s {rate:>8.0}/s {more}")?)
}
