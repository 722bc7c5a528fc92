//! `check`: compares freshness, lag, runs and dead letters with limits, for cron, Nagios and probes. It writes nothing.

use anyhow::bail;
use catalog_shared::exit::Stop;
use catalog_shared::region::Region;
use catalog_shared::shutdown::CancellationToken;
use catalog_shared::time_limit::within;
use sqlx::PgPool;

use crate::store::database;

mod args;
mod facts;
mod findings;
mod lag;
mod limits;
pub(crate) mod page;
mod report;

pub(crate) use args::CheckArgs;
use facts::{Facts, RunFacts};
pub(crate) use findings::Finding;
use findings::crawls;
use limits::Level;
pub(crate) use limits::LimitArgs;
pub(crate) use report::Report;

/// Runs the checks and prints a report.
///
/// # Errors
/// [`Stop::Status`]: exit code 1 for warnings, 2 for critical findings, 3 if the database can't be read.
pub(crate) async fn run(args: &CheckArgs, shutdown: &CancellationToken) -> anyhow::Result<()> {
    let report = tokio::select! {
        report = report(args) => report,
        () = shutdown.cancelled() => bail!(Stop::Interrupted("the checks are incomplete".to_owned())),
    };
    if args.quiet && report.is_ok() { Ok(()) } else { report.print(args.json) }
}

/// The report, without printing it.
pub(crate) async fn report(args: &CheckArgs) -> Report {
    Report::new(findings(args).await)
}

/// The findings about the runs of all regions.
///
/// # Errors
/// The error of the database.
pub(crate) async fn of_runs(pool: &PgPool, limits: &LimitArgs) -> sqlx::Result<Vec<Finding>> {
    let facts = facts::read_runs(&mut *pool.acquire().await?, None).await?;
    let mut found = run_findings(&facts, None, limits);
    found.extend(crawls::last(&facts.last_crawls, None, limits.last_crawl_age()));
    Ok(found)
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
    let mut found = run_findings(&facts.runs, region, limits);
    found.push(findings::dead_letters(&facts.dead_letters, limits.dead_letters()));
    found.push(findings::shielded(&facts.shielded, limits.shielded()));
    found.extend(crawls::last(&facts.runs.last_crawls, region, limits.last_crawl_age()));
    found
}

fn run_findings(facts: &RunFacts, region: Option<Region>, limits: &LimitArgs) -> Vec<Finding> {
    let mut found = crawls::accepted(facts, region, limits.crawl_age());
    found.extend(findings::held_runs(&facts.held, limits.held()));
    found.extend(findings::open_runs(&facts.open, limits.open()));
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

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::commands::check::facts::{HeldRun, LastCrawl, LastFullCrawl};

    fn only(facts: &RunFacts, check: &str) -> Finding {
        let limits = LimitArgs::from_environment().unwrap();
        run_findings(facts, None, &limits).into_iter().find(|finding| finding.check == check).unwrap()
    }

    fn crawled(run: Option<i64>, hours: f64) -> Finding {
        let last = LastFullCrawl { region: "us".into(), run, age: run.map(|_| hours * 3600.0) };
        only(&RunFacts { full_crawls: vec![last], ..RunFacts::default() }, "full_crawl")
    }

    /// A run on hold.
    pub(crate) fn held(run: i64) -> Finding {
        let held = vec![HeldRun { region: "us".into(), run, reason: "x".into(), age: Some(7.0) }];
        only(&RunFacts { held, ..RunFacts::default() }, "held_runs")
    }

    /// A full crawl that ended too long ago.
    pub(crate) fn missed(run: i64) -> Finding {
        crawled(Some(run), 40.0)
    }

    /// A last crawl that ended too long ago.
    pub(crate) fn late(run: i64) -> Finding {
        let (mode, age) = (Some("since".into()), Some(40.0 * 3600.0));
        let last = LastCrawl { region: "us".into(), run: Some(run), mode, age };
        // By default it has no limit.
        let limits = LimitArgs::from_environment().unwrap().crawl_age();
        crawls::last(&[last], None, limits).remove(0)
    }

    /// A full crawl that has just ended.
    pub(crate) fn fresh() -> Finding {
        crawled(Some(1), 0.0)
    }

    /// No accepted full crawl yet.
    pub(crate) fn never_accepted() -> Finding {
        crawled(None, 0.0)
    }
}
