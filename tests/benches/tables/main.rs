//! What the consumer does in a second, against what PostgreSQL and Kafka can do in the same run: new records
//! against raw COPY into the same table, on as many connections; unchanged records and a rebuild against the
//! topics read as committed by a bare client. An unchanged record is one whose lists come in another order and
//! whose white space is another, as the live API sends it: the first crawl is compact, all others are pretty.
//!
//! ```text
//! eval "$(dev/services up)"; cargo build --release
//! cargo bench -p catalog-tests --bench tables -- --assets 50000
//! ```

mod figure;
mod limits;
mod written;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use catalog_tests::mock_server::{MemoryCatalog, MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::{Program, World};
use clap::Parser;
use serde_json::Value;

use figure::{Figure, Limit};
use written::Written;

/// Measures the consumer against what PostgreSQL and Kafka can do
#[derive(Parser)]
struct Arguments {
    /// Assets of the synthetic catalog, held in memory
    #[arg(long, default_value_t = 50_000)]
    assets: u64,
    /// Records a batch of the consumer
    #[arg(long, default_value_t = 1000)]
    batch_size: usize,
    /// How often all are measured; the medians count
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Given by `cargo bench`
    #[arg(long, hide = true)]
    bench: bool,
}

/// The numbers of connections that are measured, each with tables and a group of its own.
const CONNECTIONS: [usize; 2] = [1, 2];
const LIMIT: Duration = Duration::from_secs(3600);

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let mut rounds = Vec::new();
    for _ in 0..arguments.rounds.max(1) {
        rounds.push(round(&arguments).await?);
    }
    figure::print(rounds)
}

/// Measures everything once, in tables and topics of its own.
async fn round(arguments: &Arguments) -> Result<Vec<Figure>> {
    let synthetic = Synthetic::new(arguments.assets, 40);
    let catalog = Arc::new(MemoryCatalog::from_objects(synthetic.objects())?);
    let compact = Options::shared(Arc::clone(&catalog)).pretty(false).order_seed(1);
    let api = MockServer::start(compact).await?;
    let (world, batch_size) = (World::new().await?, arguments.batch_size.to_string());
    let mut bench = Bench { world, api, batch_size, figures: Vec::new() };
    for connections in CONNECTIONS {
        let schema = schema(connections);
        quiet(bench.world.ask(&["migrate", "--schema", &schema])?).succeed().await?;
        written::keep_dead_tuples(bench.world.pool(), &schema).await?;
    }
    bench.crawl_and_consume("new", Some(Limit::Copy)).await?;
    for connections in CONNECTIONS {
        bench.figures.push(limits::copy(bench.world.pool(), connections).await?);
    }
    bench.api = MockServer::start(Options::shared(Arc::clone(&catalog))).await?;
    bench.crawl_and_consume("unchanged", Some(Limit::Read)).await?;
    revise(&catalog, 20)?;
    bench.crawl_and_consume("5 % changed", None).await?;
    bench.figures.push(limits::read(&bench.world)?);
    bench.rebuild().await?;
    Ok(bench.figures)
}

fn schema(connections: usize) -> String {
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
    api: MockServer,
    batch_size: String,
    figures: Vec<Figure>,
}

impl Bench {
    async fn crawl_and_consume(&mut self, what: &'static str, limit: Option<Limit>) -> Result<()> {
        let crawl = self.world.crawl(&self.api)?.args(["--page-size", "1000", "--partitions", "6"]);
        quiet(crawl).succeed().await?;
        for connections in CONNECTIONS {
            let schema = schema(connections);
            let before = Written::read(&self.world, &schema).await?;
            let run = self.world.consume()?.args(["--group", &self.world.topic(&schema)]);
            let run = run.args(["--schema", &schema, "--connections", &connections.to_string()]);
            let summary = quiet(run).args(["--batch-size", &self.batch_size]).succeed().await?.summary()?;
            let written = Written::read(&self.world, &schema).await?.since(&before);
            let (records, seconds) = (records(&summary)?, seconds(&summary)?);
            self.figures.push(Figure { what, connections, records, seconds, written: Some(written), limit });
        }
        written::analyze(self.world.pool()).await
    }

    async fn rebuild(&mut self) -> Result<()> {
        for connections in CONNECTIONS {
            let before = Written::read(&self.world, "by_2").await?;
            let connections_given = connections.to_string();
            let rebuild =
                self.world.rebuild()?.args(["--schema", "by_2", "--connections", &connections_given]);
            let summary = quiet(rebuild).succeed().await?.summary()?;
            let written = Some(Written::read(&self.world, "by_2").await?.since(&before));
            let records = summary["records"].as_u64().context("the summary has records")?;
            let (seconds, limit) = (seconds(&summary)?, Some(Limit::Read));
            self.figures.push(Figure { what: "rebuild", connections, records, seconds, written, limit });
        }
        Ok(())
    }
}

fn records(summary: &Value) -> Result<u64> {
    let kinds = summary["records"].as_object().context("the summary has records")?;
    let effects = kinds.values().filter_map(Value::as_object).flat_map(|effects| effects.values());
    Ok(effects.filter_map(Value::as_u64).sum())
}

fn seconds(summary: &Value) -> Result<f64> {
    summary["seconds"].as_f64().context("the summary has seconds")
}
