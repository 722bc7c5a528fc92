//! Crawls that find the same assets again, in other orders and forms, and with few changes; crawls without a limit,
//! which come first; and the same records applied to larger tables.

use std::sync::Arc;

use anyhow::{Context, Result};
use catalog_tests::mock_server::{MemoryCatalog, MockServer, Options};
use catalog_tests::world::World;

use crate::bench::Bench;
use crate::figure::{Bound, Figure, Of, Row, Unit};
use crate::objects;
use crate::program::{Consumed, Run, consume, crawl, seconds};
use crate::publishing::Bare;
use crate::reading::{self, Offsets};
use crate::written::{self, Moment, Written};

/// The number of copies of each object. With it, a round takes about two seconds.
const COPIES: usize = 4;
const PAGE: usize = 1000;
/// The schemas, each with a consumer group.
const SMALL: &str = "catalog";
const LARGE: &str = "large";

/// Measures everything.
pub(crate) async fn measure(bench: &mut Bench) -> Result<()> {
    let mut scene = Scene::prepare(bench).await?;
    for round in 0..bench.rounds {
        bench.progress(&format!("unchanged: round {} of {}", round + 1, bench.rounds))?;
        scene.round(bench, round).await?;
    }
    scene.add_rows(bench);
    Ok(())
}

/// The figures of each round.
#[derive(Default)]
struct Figures {
    unchanged: Vec<Figure>,
    read: Vec<Figure>,
    compact: Vec<Figure>,
    same_order: Vec<Figure>,
    changed: Vec<Figure>,
    /// The values of complete rounds, with small and with large tables.
    small: Vec<Figure>,
    large: Vec<Figure>,
    crawled: Vec<Figure>,
    published: Vec<Figure>,
    written: Vec<Written>,
}

struct Scene {
    world: World,
    bare: Bare,
    catalog: Arc<MemoryCatalog>,
    assets: usize,
    large_rows: u64,
    can_read_wal: bool,
    figures: Figures,
}

impl Scene {
    /// Fills both schemas.
    async fn prepare(bench: &mut Bench) -> Result<Self> {
        bench.progress("unchanged: filling tables")?;
        let catalog = Arc::new(bench.objects.catalog(COPIES)?);
        let (world, bare) = (World::new().await?, Bare::new().await?);
        let api = pretty(&catalog, 0).await?;
        let first = crawl(&world, &api).await?;
        let assets = catalog.ids().len();
        bench.producer_peak(assets, &first);
        for schema in [SMALL, LARGE] {
            let filled = consume(&world, schema, 2).await?.expect("new", assets)?;
            bench.consumer_peak(assets, &filled.run);
        }
        let large_rows = bench.large_rows();
        bench.progress(&format!("unchanged: filling tables up to {large_rows} rows"))?;
        written::fill(world.pool(), LARGE, large_rows).await?;
        let can_read_wal = written::can_read_wal(world.pool()).await;
        Ok(Self { world, bare, catalog, assets, large_rows, can_read_wal, figures: Figures::default() })
    }

    async fn round(&mut self, bench: &mut Bench, round: usize) -> Result<()> {
        // The seed determines the order of a crawl.
        let seed = 10 * (round as u64 + 1);
        let begin = reading::ends(&self.world).await?;
        let changed = objects::revise(&self.catalog, round)?;
        self.crawl(bench, &pretty(&self.catalog, seed).await?).await?;
        let changed = self.consume(bench).await?.expect("changed", changed)?;
        // They take turns, because what comes later finds other tables.
        let (same_order, unchanged) = if round.is_multiple_of(2) {
            let same_order = self.same_order(bench, begin).await?;
            (same_order, self.other_order(bench, seed + 1).await?)
        } else {
            let begin = reading::ends(&self.world).await?;
            let unchanged = self.other_order(bench, seed + 1).await?;
            (self.same_order(bench, begin).await?, unchanged)
        };
        self.crawl(bench, &compact(&self.catalog, seed + 2).await?).await?;
        let compact = self.consume(bench).await?.expect("unchanged", self.assets)?;

        let figures = &mut self.figures;
        if round < bench.fewer_rounds() {
            let all = [&changed, &same_order, &unchanged, &compact].map(|consumed| consumed.figure);
            figures.small.push(all.into_iter().fold(Figure::default(), Figure::and));
            figures.large.push(consume(&self.world, LARGE, 2).await?.figure);
        }
        figures.changed.push(changed.figure);
        figures.same_order.push(same_order.figure);
        figures.unchanged.push(unchanged.figure);
        figures.compact.push(compact.figure);
        Ok(())
    }

    /// Consumes the very bytes of the last crawl, whose records begin here.
    async fn same_order(&mut self, bench: &mut Bench, begin: Offsets) -> Result<Consumed> {
        let crawled = self.crawl_verbatim(bench, begin).await?;
        self.figures.crawled.push(crawled);
        self.consume(bench).await?.expect("unchanged", self.assets)
    }

    /// Consumes a crawl in another order than before. Measures what that writes, and the reading alone.
    async fn other_order(&mut self, bench: &mut Bench, seed: u64) -> Result<Consumed> {
        let begin = reading::ends(&self.world).await?;
        self.crawl(bench, &pretty(&self.catalog, seed).await?).await?;
        let reads_wal = self.can_read_wal && self.figures.written.len() < bench.fewer_rounds();
        let moment = if reads_wal { Some(Moment::now(&self.world, SMALL).await?) } else { None };
        let consumed = self.consume(bench).await?.expect("unchanged", self.assets)?;
        if let Some(moment) = moment {
            self.figures.written.push(moment.since(&self.world, SMALL).await?);
        }
        self.figures.read.push(reading::read(&self.world, begin).await?);
        Ok(consumed)
    }

    async fn crawl(&self, bench: &mut Bench, api: &MockServer) -> Result<Run> {
        let run = crawl(&self.world, api).await?;
        bench.producer_peak(self.assets, &run);
        Ok(run)
    }

    async fn consume(&self, bench: &mut Bench) -> Result<Consumed> {
        let consumed = consume(&self.world, SMALL, 2).await?;
        bench.consumer_peak(self.assets, &consumed.run);
        Ok(consumed)
    }

    /// Crawls the very bytes of the last crawl, and publishes them without a crawl. Such answers cost the mock server
    /// next to nothing, whose work would be a large part of the crawl on the same cores.
    async fn crawl_verbatim(&mut self, bench: &mut Bench, begin: Offsets) -> Result<Figure> {
        let records = reading::datasets(&self.world, begin).await?;
        self.figures.published.push(self.bare.publish(&records, PAGE).await?);
        let values = records.into_iter().map(|record| record.value);
        let catalog = MemoryCatalog::from_objects(values)?;
        let api = MockServer::start(Options::new(catalog).verbatim().gzip(false)).await?;
        let run = self.crawl(bench, &api).await?;
        let records = run.summary["published"]["datasets"].as_u64().context("datasets are published")?;
        Ok(Figure { records, seconds: seconds(&run.summary)? })
    }

    fn add_rows(self, bench: &mut Bench) {
        let Figures {
            unchanged,
            read,
            compact,
            same_order,
            changed,
            small,
            large,
            crawled,
            published,
            written,
        } = &self.figures;
        let assets = self.assets;
        let unit = Unit::RecordsPerSecond;
        let row = |what: &str, figures: &[Figure]| Row::new(what, unit, rates(figures));
        let unchanged_rates = rates(unchanged);
        bench.add(row("unchanged, reordered and pretty, 2 connections", unchanged).map(|row| {
            row.against("BaseConsumer", &rates(read))
                .target(Of::Ratio, Bound::AtLeast(0.2))
                .target(Of::Ours, Bound::AtLeast(70_000.0))
                .note(format!("{assets} records a run and as many rows; the client reads the same records"))
        }));
        bench.add(
            row("the same, compact", compact)
                .map(|row| row.against("pretty", &unchanged_rates).target(Of::Ratio, Bound::AtLeast(1.15))),
        );
        bench.add(row("another order than before", unchanged).map(|row| {
            row.against("the same order", &rates(same_order)).target(Of::Ratio, Bound::AtLeast(0.95))
        }));
        bench
            .add(row("5 % changed", changed).map(|row| {
                row.against("unchanged", &unchanged_rates).target(Of::Ratio, Bound::AtLeast(0.7))
            }));
        let rows = format!("in tables of {} rows", self.large_rows);
        bench.add(row(&rows, large).map(|row| {
            row.against("smaller tables", &rates(small))
                .target(Of::Ratio, Bound::AtLeast(0.8))
                .note(format!("all crawls of a round, against the same in tables of {assets} rows"))
        }));
        add_written_rows(bench, written, unchanged);
        let seconds = |figures: &[Figure]| figures.iter().map(|figure| figure.seconds).collect::<Vec<_>>();
        bench.add(Row::new("crawl without a limit", Unit::Seconds, seconds(crawled)).map(|row| {
            row.against("bare publishing", &seconds(published))
                .target(Of::Ratio, Bound::AtMost(1.15))
                .note(format!("{assets} assets; their answers cost the mock server next to nothing"))
        }));
    }
}

fn add_written_rows(bench: &mut Bench, written: &[Written], unchanged: &[Figure]) {
    let each = written.iter().zip(unchanged).map(|(written, figure)| written.wal / figure.records as f64);
    let images: f64 = written.iter().map(|written| written.images).sum::<f64>() / 1024.0 / 1024.0;
    bench.add(Row::new("WAL a record, unchanged", Unit::Bytes, each.collect()).map(|row| {
        row.target(Of::Ours, Bound::AtMost(250.0)).note(format!(
            "as pg_walinspect shows it for this database, without {images:.0} MiB of full-page images"
        ))
    }));
    let rows = written.iter().map(|written| written.wide_rows as f64).collect();
    let row = Row::new("rows of the wide table written by that", Unit::Rows, rows);
    bench.add(row.map(|row| row.target(Of::Largest, Bound::AtMost(0.0))));
}

fn rates(figures: &[Figure]) -> Vec<f64> {
    figures.iter().map(|figure| figure.rate()).collect()
}

/// The API without compression, which would take a large part of the crawl's time on the same machine.
async fn pretty(catalog: &Arc<MemoryCatalog>, order_seed: u64) -> Result<MockServer> {
    let options = Options::shared(Arc::clone(catalog)).order_seed(order_seed).gzip(false);
    Ok(MockServer::start(options).await?)
}

async fn compact(catalog: &Arc<MemoryCatalog>, order_seed: u64) -> Result<MockServer> {
    let options = Options::shared(Arc::clone(catalog)).order_seed(order_seed).gzip(false);
    Ok(MockServer::start(options.pretty(false)).await?)
}
