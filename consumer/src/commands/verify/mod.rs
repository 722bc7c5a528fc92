//! `verify`: named queries that each return the problems they find. They share one snapshot of the database and write
//! nothing.

use anyhow::{Context, anyhow, bail};
use catalog_shared::exit::Stop;
use catalog_shared::human::counted;
use catalog_shared::shutdown::CancellationToken;
use clap::Args;
use sqlx::{AssertSqlSafe, PgPool, Postgres, Transaction};

use crate::commands::rebuild::{self, ReplaySourceArgs};
use crate::decode::content_hash::REVISION;
use crate::store::database;
use checks::{CHECKS, Check, Severity};
use report::{CheckResult, VerifyFinding, VerifyReport};

mod checks;
mod report;

/// The number of findings that are shown per check; all are counted.
const MAX_SHOWN: usize = 20;

/// The arguments of `verify`.
#[derive(Args, Debug)]
pub struct VerifyArgs {
    /// Compare the tables with the topics row by row, instead of running the checks
    #[arg(long)]
    pub topics: bool,

    /// Print the report as one JSON object
    #[arg(long)]
    pub json: bool,

    /// The database and the topics.
    #[command(flatten)]
    pub source: ReplaySourceArgs,
}

/// Checks the tables, or compares them with the topics.
///
/// # Errors
/// A check of severity error found something, a row differs from the topics, or the tables or topics can't be read.
pub(crate) async fn run(args: &VerifyArgs, shutdown: &CancellationToken) -> anyhow::Result<()> {
    if args.topics { compare(args, shutdown).await } else { check(args, shutdown).await }
}

async fn compare(args: &VerifyArgs, shutdown: &CancellationToken) -> anyhow::Result<()> {
    let report = rebuild::compare(&args.source, shutdown).await?;
    let rows = u64::try_from(report.differing()).unwrap_or_default();
    if rows == 0 {
        return report.print(args.json);
    }
    let rows = counted(rows, "row is", "rows are");
    let error = anyhow!("{rows} different from the topics: `catalog-consumer rebuild` repairs them");
    Err(report.print_failure(args.json, error))
}

async fn check(args: &VerifyArgs, shutdown: &CancellationToken) -> anyhow::Result<()> {
    let pool = database::open(&args.source.database, 1).await?;
    let report = tokio::select! {
        report = run_checks(&pool, CHECKS.iter()) => report?,
        () = shutdown.cancelled() => bail!(Stop::Interrupted("the checks are incomplete".to_owned())),
    };
    if report.errors() == 0 {
        return report.print(args.json);
    }
    let checks = counted(report.errors() as u64, "check has", "checks have");
    Err(report.print_failure(args.json, anyhow!("{checks} found errors")))
}

/// The checks of severity error that find something, each with the number of its findings.
///
/// # Errors
/// The error of the database.
pub(crate) async fn errors(pool: &PgPool) -> anyhow::Result<Vec<(&'static str, i64)>> {
    let checks = CHECKS.iter().filter(|check| check.severity == Severity::Error);
    Ok(run_checks(pool, checks).await?.found().collect())
}

async fn run_checks(
    pool: &PgPool,
    checks: impl Iterator<Item = &'static Check>,
) -> anyhow::Result<VerifyReport> {
    let mut report = VerifyReport::start();
    let mut tx = database::begin_snapshot(pool).await?;
    sqlx::query("select set_config('catalog_stream.form', $1, true)")
        .bind(REVISION.to_string())
        .execute(&mut *tx)
        .await?;
    for check in checks {
        let result = run_check(&mut tx, check).await;
        report.add(result.with_context(|| format!("can't check {}", check.name))?);
    }
    Ok(report)
}

async fn run_check(tx: &mut Transaction<'_, Postgres>, check: &'static Check) -> sqlx::Result<CheckResult> {
    let query = format!(
        "select coalesce(what, '?'), coalesce(finding, '?'), count(*) over () from (\n{}\n) as found \
         order by what collate \"C\", finding collate \"C\" limit {MAX_SHOWN}",
        check.sql
    );
    let rows: Vec<(String, String, i64)> = sqlx::query_as(AssertSqlSafe(query)).fetch_all(&mut **tx).await?;
    let count = rows.first().map_or(0, |(_, _, count)| *count);
    let findings = rows.into_iter().map(|(what, finding, _)| VerifyFinding { what, finding }).collect();
    Ok(CheckResult { check, count, findings })
}
