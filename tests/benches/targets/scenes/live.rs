//! A rate-limited crawl with a running consumer: whether the crawl keeps its rate, and how soon a page is committed.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use catalog_tests::mock_server::{MockServer, Options, ReceivedRequest};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::World;
use sqlx::PgPool;
use time::OffsetDateTime;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::bench::Bench;
use crate::figure::{Bound, Of, Row, Unit, quantile};
use crate::program::{quiet, run};

/// Requests per second, and assets per page and per crawl. A crawl takes ten seconds.
const RATE: f64 = 20.0;
const PAGE_SIZE: u64 = 100;
const ASSETS: u64 = 20_000;
/// The delay before the first byte of a response.
const LATENCY: Duration = Duration::from_millis(50);
/// Interval between two queries of the tables. Measured delays are too long by at most this interval.
const POLL_INTERVAL: Duration = Duration::from_millis(10);
const LIMIT: Duration = Duration::from_secs(300);

/// Measures one crawl per round. The rows of the first crawl are new.
pub(crate) async fn measure(bench: &mut Bench) -> Result<()> {
    let world = World::new().await?;
    world.migrate().await?;
    let _consumer = quiet(world.member()?).start()?;
    let (mut took, mut least, mut most) = (Vec::new(), Vec::new(), Vec::new());
    let (mut median, mut late) = (Vec::new(), Vec::new());
    for round in 0..bench.rounds {
        bench.progress(&format!("live: round {} of {}", round + 1, bench.rounds))?;
        let options = Options::new(Synthetic::new(ASSETS, 40)).order_seed(round as u64);
        let api = MockServer::start(options.latency(LATENCY)).await?;
        let watch = Watch { pool: world.pool().clone(), run: i64::try_from(round + 1)? };
        let (crawled, delays) = tokio::join!(crawl(&world, &api), timeout(LIMIT, watch.delays()));
        crawled?;
        let delays = delays.context("the run is never decided")??;
        let asked = times(&api.requests());
        let span = asked.last().zip(asked.first()).context("pages were asked for")?;
        took.push(span.0.duration_since(*span.1).as_secs_f64());
        // Neighbouring pages share an object, so there are more of them than objects divided by the page size.
        least.push((asked.len() - 1) as f64 / RATE);
        most.push(most_in_a_second(&asked) as f64);
        median.push(quantile(&delays, 0.5));
        late.push(quantile(&delays, 0.99));
    }
    bench.add(Row::new("crawl at --rate 20", Unit::Seconds, took).map(|row| {
        let most = most.into_iter().fold(0.0, f64::max);
        row.against("pages / rate", &least)
            .target(Of::Ratio, Bound::AtMost(1.02))
            .note(format!("{ASSETS} assets, answered after 50 ms; at most {most} requests in any second"))
    }));
    let note = format!("pages of {PAGE_SIZE}, their rows new in the first run; polled each 10 ms");
    bench.add(Row::new("page's arrival to its rows' commit, p50", Unit::Milliseconds, median));
    bench.add(
        Row::new("page's arrival to its rows' commit, p99", Unit::Milliseconds, late)
            .map(|row| row.target(Of::Largest, Bound::AtMost(500.0)).note(note)),
    );
    Ok(())
}

async fn crawl(world: &World, api: &MockServer) -> Result<()> {
    let (rate, size) = (RATE.to_string(), PAGE_SIZE.to_string());
    let crawl = world.crawl(api)?.args(["--rate", &rate, "--page-size", &size, "--partitions", "6"]);
    run(crawl).await?;
    Ok(())
}

/// The times of the requests for pages, in order.
fn times(asked: &[ReceivedRequest]) -> Vec<Instant> {
    asked.iter().filter(|asked| asked.is_page()).map(|asked| asked.at).collect()
}

/// The largest number of requests in any interval of one second.
fn most_in_a_second(times: &[Instant]) -> usize {
    let second = Duration::from_secs(1);
    let from = |(index, start): (usize, &Instant)| {
        times[index..].iter().take_while(|time| time.duration_since(*start) < second).count()
    };
    times.iter().enumerate().map(from).max().unwrap_or_default()
}

/// Watches for the rows of a run.
struct Watch {
    pool: PgPool,
    run: i64,
}

/// The number of rows of a page, the time of its arrival, and the times at which its rows were first seen.
#[derive(Clone, Copy)]
struct Seen {
    rows: i64,
    arrived: OffsetDateTime,
    at: OffsetDateTime,
}

const ROWS: &str = "select last_page, count(*), min(observed_at) from socrata_dataset_stats
    where last_run = $1 group by last_page";
const ENDED: &str = "select exists (select from runs where run = $1 and state <> 'open')";

impl Watch {
    /// How long after each page's arrival all its rows were committed, in milliseconds, sorted. Returns when the run is
    /// decided.
    async fn delays(&self) -> Result<Vec<f64>> {
        let mut again = interval(POLL_INTERVAL);
        again.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut pages: BTreeMap<i64, Seen> = BTreeMap::new();
        loop {
            again.tick().await;
            // Queried first, so that no row comes after the last poll.
            let ended: bool = sqlx::query_scalar(ENDED).bind(self.run).fetch_one(&self.pool).await?;
            let rows: Vec<(i64, i64, OffsetDateTime)> =
                sqlx::query_as(ROWS).bind(self.run).fetch_all(&self.pool).await?;
            let at = OffsetDateTime::now_utc();
            for (page, rows, arrived) in rows {
                let seen = pages.entry(page).or_insert(Seen { rows, arrived, at });
                if seen.rows < rows {
                    *seen = Seen { rows, arrived, at };
                }
            }
            if ended {
                break;
            }
        }
        let mut delays: Vec<f64> =
            pages.values().map(|seen| (seen.at - seen.arrived).as_seconds_f64() * 1000.0).collect();
        delays.sort_by(f64::total_cmp);
        Ok(delays)
    }
}
