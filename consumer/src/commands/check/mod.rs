//! `check`: compares freshness, lag, runs and dead letters with limits, for cron, Nagios and probes. It writes nothing.

use anyhow::bail;
use catalog_shared::exit::Stop;
use catalog_shared::region::Region;
use catalog_shared::shutdown::CancellationToken;
use catalog_shared::time_limit::within;

use crate::store::database;

mod args;
mod facts;
mod findings;
mod lag;
mod limits;
pub(crate) mod page;
mod report;

pub(crate) use args::CheckArgs;
use facts::Facts;
use findings::Finding;
use limits::{Level, LimitArgs};
use report::Report;

/// Runs the checks and prints a report.
///
/// # Errors
/// [`Stop::Status`]: exit code 1 for warnings, 2 for critical findings, 3 if the database can't be read.
pub(crate) async fn run(args: &CheckArgs, shutdown: &CancellationToken) -> anyhow::Result<()> {
    let report = tokio::select! {
        findings = findings(args) => Report::new(findings),
        () = shutdown.cancelled() => bail!(Stop::Interrupted("the checks are incomplete".to_owned())),
    };
    if args.quiet && report.is_ok() { Ok(()) } else { report.print(args.json) }
}

async fn findings(args: &CheckArgs) -> Vec<Finding> {
    let (database, kafka, region) = (args.database.clone(), args.kafka.clone(), args.region);
    let read = within(args.timeout, move || async move { facts::read(&database, &kafka, region).await });
    let facts = match read.await {
        Ok(facts) => facts,
        Err(error) => return vec![unknown("database", &error)],
    };
    let mut found = of_facts(&args.limits, args.region, &facts);
    if !args.database_only {
        found.extend(of_lag(args, facts).await);
    }
    if args.verify {
        found.push(of_verify(args).await);
    }
    found
}

/// The findings of facts that were read for one region or all.
fn of_facts(limits: &LimitArgs, region: Option<Region>, facts: &Facts) -> Vec<Finding> {
    let mut found = findings::full_crawls(&facts.full_crawls, region, limits.crawl_age());
    found.extend(findings::held_runs(&facts.held, limits.held()));
    found.extend(findings::open_runs(&facts.open, limits.open()));
    found.push(findings::dead_letters(&facts.dead_letters, limits.dead_letters()));
    found.push(findings::shielded(&facts.shielded, limits.shielded()));
    found
}

async fn of_lag(args: &CheckArgs, facts: Facts) -> Vec<Finding> {
    if let Some(reason) = facts.other_topics {
        return vec![other_topics(reason)];
    }
    let (kafka, timeout) = (args.kafka.clone(), args.timeout);
    // Its own errors name the partition, so they must come before the time limit.
    let measure = within(timeout, move || lag::measure(kafka, facts.positions, timeout / 2));
    match measure.await {
        Ok(lag) => findings::lag(&lag, args.limits.lag_records(), args.limits.lag_time()),
        Err(error) => vec![unknown_lag(&format!("{error:#}"))],
    }
}

/// The tables belong to other topics, so the lag means nothing.
fn other_topics(reason: String) -> Finding {
    Finding::plain("kafka", Level::Critical, reason).next(DOCTOR)
}

/// The lag can't be measured, so the consumer can't work either.
fn unknown_lag(reason: &str) -> Finding {
    Finding::plain("kafka", Level::Critical, format!("the lag is unknown: {reason}")).next(DOCTOR)
}

/// The checks of `verify` may take longer than a time limit for a probe, and have none.
async fn of_verify(args: &CheckArgs) -> Finding {
    match facts::verify_errors(&args.database).await {
        Ok(errors) => findings::verify_errors(&errors, args.limits.verify()),
        Err(error) => unknown("verify", &error),
    }
}

/// The command that examines an installation.
const DOCTOR: &str = "catalog-consumer doctor";

fn unknown(check: &'static str, error: &anyhow::Error) -> Finding {
    Finding::plain(check, Level::Unknown, database::format_error(error)).next(DOCTOR)
}
