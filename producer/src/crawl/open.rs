//! Opens the run to crawl: plans it, and claims the region in Kafka before any asset is fetched.

use std::time::Instant;

use anyhow::bail;
use catalog_shared::cursor::Cursor;
use catalog_shared::cursor_reader;
use catalog_shared::events;
use catalog_shared::exit::Stop;
use catalog_shared::outage::retry_while_down_within;
use catalog_shared::topic_setup;
use tokio_util::sync::CancellationToken;

use crate::api::Discovery;
use crate::config::CrawlArgs;
use crate::crawl::domains;
use crate::model::domains::Domains;
use crate::model::idspace;
use crate::publish::claim::Claim;
use crate::publish::sink::Sink;
use crate::publish::{Publisher, hosts};
use crate::run::plan::{Plan, plan};
use crate::run::request::CrawlRequest;
use crate::run::start::Start;
use crate::run::{Run, lifecycle};

/// The maximum number of claims, in case another producer writes the cursor between opening and claiming.
const MAX_CLAIMS: usize = 5;

/// A run whose region is claimed.
pub(super) struct Opened {
    pub(super) publisher: Publisher,
    /// What was fetched from `/domains` before a new run.
    pub(super) domains: Option<Domains>,
}

/// Opens the run that is published to the region's topics, or to nowhere in a dry run. Waits while Kafka is unreachable.
/// Returns `None` if `shutdown` came first.
pub(super) async fn open(
    args: &CrawlArgs,
    request: &CrawlRequest,
    discovery: &Discovery,
    shutdown: &CancellationToken,
) -> anyhow::Result<Option<Opened>> {
    // Kept across retries.
    let mut domains = None;
    let opening = async {
        let mut waiting = Instant::now();
        if args.dry_run {
            return dry_run(args, request, discovery).await;
        }
        let claim = async || {
            discovery.counters().add_kafka_wait(waiting.elapsed());
            let claimed = open_and_claim(args, request, discovery, &mut domains).await;
            waiting = Instant::now();
            claimed
        };
        retry_while_down_within(&args.kafka, args.wait_for_kafka, claim).await
    };
    let publisher = shutdown.run_until_cancelled(opening).await.transpose()?;
    Ok(publisher.map(|publisher| Opened { publisher, domains }))
}

/// Starts a dry run. Kafka is only read for the start of `--since auto`.
async fn dry_run(
    args: &CrawlArgs,
    request: &CrawlRequest,
    discovery: &Discovery,
) -> anyhow::Result<Publisher> {
    let topics = args.kafka.topics();
    let last = match request.since {
        Some(Start::Auto { .. }) => {
            cursor_reader::read_if_exists(&args.kafka, &topics, args.api.region).await?
        }
        _ => None,
    };
    let cursor = plan(request, last)?.into_cursor(request, "", &topic_setup::partitions(args.partitions))?;
    discovery.check_domains().await?;
    tracing::info!(event = events::DRY_RUN_STARTED, region = %args.api.region, "crawling without publishing");
    Ok(Publisher::new(Sink::Nowhere, Run::new(topics, split(cursor, args))))
}

/// Claims the region. Plans once before that: an invalid command line must neither fence a running producer nor create
/// topics, and an API that can't be crawled must not leave a run behind.
async fn open_and_claim(
    args: &CrawlArgs,
    request: &CrawlRequest,
    discovery: &Discovery,
    domains: &mut Option<Domains>,
) -> anyhow::Result<Publisher> {
    let topics = args.kafka.topics();
    let planned = plan(request, cursor_reader::read_if_exists(&args.kafka, &topics, args.api.region).await?)?;
    let partitions = topic_setup::ensure(&[args.api.region], &args.kafka, &topics, args.partitions).await?;
    let instance_id = uuid::Uuid::new_v4().to_string();
    let is_new = matches!(planned, Plan::Start { .. });
    planned.into_cursor(request, &instance_id, &partitions)?;
    if is_new && domains.is_none() {
        *domains = Some(domains::fetch_before_run(discovery).await?);
    }
    for _ in 0..MAX_CLAIMS {
        let (mut claim, found) = Claim::open(&args.kafka, args.api.region).await?;
        let request = found.in_doubt.map_or_else(|| request.clone(), |cursor| discard(request, &cursor));
        let cursor =
            split(plan(&request, found.last)?.into_cursor(&request, &instance_id, &partitions)?, args);
        // Before the run is claimed, so that a failure leaves no run that nobody has crawled.
        let hosts = hosts::published(&args.kafka, &topics, &cursor).await?;
        if claim.establish(&cursor).await? {
            tracing::info!(event = events::CRAWL_STARTED, region = %args.api.region, run = cursor.run, page = cursor.next_page, "crawling");
            let run = Run::new(topics, cursor).with_published_hosts(hosts);
            return Ok(Publisher::new(Sink::Kafka(Box::new(claim)), run));
        }
        tracing::info!(event = events::CLAIM_RETRIED, region = %args.api.region, "another producer wrote the cursor, retrying the claim");
    }
    bail!(Stop::Guard(format!("other producers of region {} keep taking over", args.api.region)))
}

fn discard(request: &CrawlRequest, in_doubt: &Cursor) -> CrawlRequest {
    let (run, page) = (in_doubt.run, in_doubt.next_page);
    tracing::warn!(event = events::RUN_DISCARDED, region = %request.region, run, page, "a transaction is in doubt, discarding the run");
    request.restarted_after(in_doubt)
}

/// Splits the pending intervals for the lanes.
fn split(cursor: Cursor, args: &CrawlArgs) -> Cursor {
    let lanes = lifecycle::lanes(&cursor, args.concurrency);
    Cursor { pending: idspace::split(cursor.pending, lanes), ..cursor }
}
