//! What the tables say about runs, shields and dead letters, read in one snapshot.

use anyhow::Context;
use catalog_shared::exit::Stop;
use catalog_shared::kafka::KafkaArgs;
use catalog_shared::region::Region;
use sqlx::{FromRow, PgConnection};

use crate::commands::verify;
use crate::config::DatabaseArgs;
use crate::model::positions::Positions;
use crate::model::topic::TopicKind;
use crate::store::{binding, database, positions};

/// The last accepted full crawl of a region.
#[derive(Clone, Debug, FromRow)]
pub(super) struct LastFullCrawl {
    pub(super) region: String,
    /// The run; `None` if none was accepted.
    pub(super) run: Option<i64>,
    /// Seconds since it ended.
    pub(super) age: Option<f64>,
}

/// Domains of a region that is only crawled with `--domain`, which have the same last accepted crawl.
#[derive(Clone, Debug, FromRow)]
pub(super) struct DomainCrawl {
    pub(super) region: String,
    /// One of the domains.
    pub(super) domain: String,
    /// The number of domains.
    pub(super) domains: i64,
    /// The run; `None` if none was accepted.
    pub(super) run: Option<i64>,
    /// Seconds since it ended.
    pub(super) age: Option<f64>,
}

/// The last crawl of a region that has ended, in any mode.
#[derive(Clone, Debug, FromRow)]
pub(super) struct LastCrawl {
    pub(super) region: String,
    /// The run; `None` if none has ended.
    pub(super) run: Option<i64>,
    pub(super) mode: Option<String>,
    /// Seconds since it ended.
    pub(super) age: Option<f64>,
}

/// A run on hold.
#[derive(Clone, Debug, FromRow)]
pub(super) struct HeldRun {
    pub(super) region: String,
    pub(super) run: i64,
    pub(super) reason: String,
    /// Seconds since it ended.
    pub(super) age: Option<f64>,
}

/// A run without all of its end-of-run records.
#[derive(Clone, Debug, FromRow)]
pub(super) struct OpenRun {
    pub(super) region: String,
    pub(super) run: i64,
    /// Seconds since its last known activity.
    pub(super) age: Option<f64>,
}

/// A domain whose missing datasets are kept.
#[derive(Clone, Debug, FromRow)]
pub(super) struct ShieldedDomain {
    pub(super) region: String,
    pub(super) domain: String,
    pub(super) run: i64,
    /// The number of datasets that are kept.
    pub(super) kept: i64,
}

/// The open dead letters.
#[derive(Clone, Debug, Default, FromRow)]
pub(super) struct OpenDeadLetters {
    pub(super) open: i64,
    /// The smallest id.
    pub(super) first: Option<i64>,
    /// Seconds since the oldest arrived.
    pub(super) age: Option<f64>,
}

/// What the ledger says about runs.
#[derive(Default)]
pub(super) struct RunFacts {
    /// One of each region that has a run.
    pub(super) full_crawls: Vec<LastFullCrawl>,
    /// None of a region with an accepted full crawl, and none of a domain without active rows.
    pub(super) domain_crawls: Vec<DomainCrawl>,
    pub(super) last_crawls: Vec<LastCrawl>,
    pub(super) held: Vec<HeldRun>,
    pub(super) open: Vec<OpenRun>,
}

impl RunFacts {
    /// The crawls of the domains of a region.
    pub(super) fn domain_crawls_of(&self, region: &str) -> impl Iterator<Item = &DomainCrawl> {
        self.domain_crawls.iter().filter(move |crawl| crawl.region == region)
    }
}

/// Everything that is read from the database.
pub(super) struct Facts {
    pub(super) runs: RunFacts,
    pub(super) shielded: Vec<ShieldedDomain>,
    pub(super) dead_letters: OpenDeadLetters,
    pub(super) positions: Positions,
    /// Why the lag can't be measured with these topics; `None` if it can.
    pub(super) other_topics: Option<String>,
}

/// Reads the facts. Writes nothing.
///
/// # Errors
/// Same as [`database::open`], or the error of the database.
pub(super) async fn read(
    database: &DatabaseArgs,
    kafka: &KafkaArgs,
    region: Option<Region>,
) -> anyhow::Result<Facts> {
    let pool = database::open(database, 1).await?;
    let mut tx = database::begin_snapshot(&pool).await?;
    read_in(&mut tx, kafka, region).await
}

/// Reads the facts in a transaction, which should be one snapshot.
///
/// # Errors
/// The error of the database.
pub(super) async fn read_in(
    tx: &mut PgConnection,
    kafka: &KafkaArgs,
    region: Option<Region>,
) -> anyhow::Result<Facts> {
    read_all(tx, kafka, region).await.context("can't read the ledger")
}

async fn read_all(tx: &mut PgConnection, kafka: &KafkaArgs, region: Option<Region>) -> anyhow::Result<Facts> {
    let region = region.map(Region::name);
    let topics = TopicKind::ALL.map(|kind| kind.topic(&kafka.topics()));
    Ok(Facts {
        runs: read_runs(tx, region).await?,
        shielded: sqlx::query_as(include_str!("../../../sql/check/shielded_domains.sql"))
            .bind(region)
            .fetch_all(&mut *tx)
            .await?,
        dead_letters: sqlx::query_as(include_str!("../../../sql/check/dead_letters.sql"))
            .bind(region)
            .fetch_one(&mut *tx)
            .await?,
        positions: positions::read(&mut *tx, &topics).await?,
        other_topics: other_topics(tx, &kafka.topic_prefix).await?,
    })
}

/// Reads what the ledger says about runs, of one region or of all.
///
/// # Errors
/// The error of the database.
pub(super) async fn read_runs(tx: &mut PgConnection, region: Option<&str>) -> sqlx::Result<RunFacts> {
    macro_rules! read {
        ($file:literal) => {
            sqlx::query_as(include_str!($file)).bind(region).fetch_all(&mut *tx).await?
        };
    }
    Ok(RunFacts {
        full_crawls: read!("../../../sql/check/full_crawls.sql"),
        domain_crawls: read!("../../../sql/check/domain_crawls.sql"),
        last_crawls: read!("../../../sql/check/last_crawls.sql"),
        held: read!("../../../sql/check/held_runs.sql"),
        open: read!("../../../sql/check/open_runs.sql"),
    })
}

/// Why the tables don't belong to topics of this prefix; `None` if they do.
async fn other_topics(tx: &mut PgConnection, prefix: &str) -> anyhow::Result<Option<String>> {
    match binding::check_prefix(tx, prefix).await {
        Err(error) if error.is::<Stop>() => Ok(Some(error.to_string())),
        checked => checked.map(|()| None),
    }
}

/// The checks of `verify` that find errors, each with the number of its findings.
///
/// # Errors
/// Same as [`database::open`], or the error of the database.
pub(super) async fn verify_errors(database: &DatabaseArgs) -> anyhow::Result<Vec<(&'static str, i64)>> {
    verify::errors(&database::open(database, 1).await?).await
}
