//! Commands that read the topics from their beginning, over three versions of each key: rebuilds of lost and of emptied
//! tables against raw COPY of the rows that come out, a comparison against a bare client that reads the topics, and how
//! long a rebuild of equal tables and the comparison block consumers.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use catalog_tests::mock_server::{MockServer, Options};
use catalog_tests::world::World;
use serde_json::Value;
use sqlx::AssertSqlSafe;

use crate::bench::Bench;
use crate::copying::{Form, Rows};
use crate::figure::{Bound, Figure, Of, Row, Unit};
use crate::program::{Run, consume, crawl, run, seconds};
use crate::reading;

const VERSIONS: u64 = 3;
const SCHEMA: &str = "catalog";

#[derive(Default)]
struct Figures {
    rebuilt: Vec<f64>,
    refilled: Vec<f64>,
    copied: Vec<f64>,
    verified: Vec<f64>,
    read: Vec<f64>,
    rebuild_blocks: Vec<f64>,
    verify_blocks: Vec<f64>,
}

/// Measures everything.
pub(crate) async fn measure(bench: &mut Bench) -> Result<()> {
    let catalog = Arc::new(bench.objects.catalog(1)?);
    let assets = catalog.ids().len();
    let world = World::new().await?;
    for seed in 0..VERSIONS {
        bench.progress(&format!("replays: version {} of {VERSIONS}", seed + 1))?;
        let options = Options::shared(Arc::clone(&catalog)).order_seed(seed).gzip(false);
        let crawled = crawl(&world, &MockServer::start(options).await?).await?;
        bench.producer_peak(assets, &crawled);
    }
    consume(&world, SCHEMA, 2).await?.expect("new", assets)?;
    let mut figures = Figures::default();
    for round in 0..bench.fewer_rounds() {
        bench.progress(&format!("replays: round {} of {}", round + 1, bench.fewer_rounds()))?;
        measure_round(bench, &world, &mut figures, round).await?;
    }
    add_rows(bench, figures, assets);
    Ok(())
}

async fn measure_round(bench: &mut Bench, world: &World, figures: &mut Figures, round: usize) -> Result<()> {
    let copied = Rows::read(world.pool(), SCHEMA, Form::Binary, 2).await?.copy(world.pool()).await?;
    figures.copied.push(copied.rate());
    let rebuilt = rebuild_lost(world, &format!("rebuilt_{round}"), copied.records).await?;
    figures.rebuilt.push(Figure { seconds: seconds(&rebuilt.summary)?, ..copied }.rate());
    let refilled = rebuild_emptied(world, copied.records).await?;
    figures.refilled.push(Figure { seconds: seconds(&refilled.summary)?, ..copied }.rate());

    let verified = run(world.verify_topics()?).await?;
    let from = reading::beginnings(&reading::ends(world).await?);
    let read = reading::read(world, from).await?;
    figures.read.push(read.rate());
    figures.verified.push(Figure { seconds: seconds(&verified.summary)?, ..read }.rate());
    figures.verify_blocks.push(blocked(&verified.summary)?);

    let again = run(world.rebuild()?).await?;
    figures.rebuild_blocks.push(blocked(&again.summary)?);
    [rebuilt, refilled, verified, again].iter().for_each(|run| bench.replay_peak(run));
    Ok(())
}

/// Rebuilds tables that are lost: in a new schema, which is dropped afterwards.
async fn rebuild_lost(world: &World, schema: &str, rows: u64) -> Result<Run> {
    let rebuilt = run(world.rebuild()?.args(["--migrate", "--schema", schema])).await?;
    expect_rows(world, schema, rows, &rebuilt).await?;
    execute(world, format!("drop schema {schema} cascade")).await?;
    Ok(rebuilt)
}

/// Rebuilds tables that lost their datasets but have their positions and their ledger.
async fn rebuild_emptied(world: &World, rows: u64) -> Result<Run> {
    execute(world, format!("truncate {SCHEMA}.socrata_datasets, {SCHEMA}.socrata_dataset_stats")).await?;
    let refilled = run(world.rebuild()?).await?;
    expect_rows(world, SCHEMA, rows, &refilled).await?;
    execute(world, format!("vacuum (analyze) {SCHEMA}.socrata_datasets, {SCHEMA}.socrata_dataset_stats"))
        .await?;
    Ok(refilled)
}

/// Fails unless the wide table has this number of rows. Otherwise the measurement is wrong.
async fn expect_rows(world: &World, schema: &str, rows: u64, run: &Run) -> Result<()> {
    let count = format!("select count(*) from {schema}.socrata_datasets");
    let found: i64 = sqlx::query_scalar(AssertSqlSafe(count)).fetch_one(world.pool()).await?;
    ensure!(u64::try_from(found)? == rows, "{found} rows and not {rows}: {}", run.summary);
    Ok(())
}

async fn execute(world: &World, statement: String) -> Result<()> {
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(world.pool()).await?;
    Ok(())
}

/// How long live consumers were blocked, in seconds.
pub(crate) fn blocked(summary: &Value) -> Result<f64> {
    summary["held_off_seconds"].as_f64().context("the summary has held_off_seconds")
}

fn add_rows(bench: &mut Bench, figures: Figures, assets: usize) {
    let rates = Unit::RecordsPerSecond;
    for (tables, values) in [("lost", figures.rebuilt), ("emptied", figures.refilled)] {
        let what = format!("rebuild of {tables} tables, 3 versions a key");
        bench.add(Row::new(what, rates, values).map(|row| {
            row.against("COPY, binary, 2 connections", &figures.copied)
                .target(Of::Ratio, Bound::AtLeast(0.7))
                .note(format!("{assets} rows that come out; COPY fills the wide table alone"))
        }));
    }
    bench.add(Row::new("verify --topics, equal tables", rates, figures.verified).map(|row| {
        row.against("BaseConsumer", &figures.read)
            .target(Of::Ratio, Bound::AtLeast(0.2))
            .note("the records that the topics hold, by the time of the command")
    }));
    add_blocking_rows(bench, assets as u64, figures.rebuild_blocks, figures.verify_blocks);
}

/// How long consumers were blocked, with this number of rows.
pub(crate) fn add_blocking_rows(bench: &mut Bench, rows: u64, rebuild: Vec<f64>, verify: Vec<f64>) {
    for (command, values) in [("rebuild", rebuild), ("verify --topics", verify)] {
        let what = format!("{command} blocks consumers, {rows} rows");
        bench.add(
            Row::new(what, Unit::Seconds, values)
                .map(|row| row.target(Of::Largest, Bound::AtMost(0.5)).note("from its own summary")),
        );
    }
}
