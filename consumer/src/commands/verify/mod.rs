//! Verifying: named queries, each of which returns what is wrong and nothing where all is well. They see
//! one moment of the database and write nothing.

use anyhow::{Context, anyhow, bail};
use catalog_shared::exit::Stop;
use catalog_shared::human::counted;
use catalog_shared::shutdown::CancellationToken;
use clap::Args;
use sqlx::{AssertSqlSafe, PgPool, Postgres, Transaction};

use crate::commands::rebuild::{self, TopicsArgs};
use crate::decode::content_hash::REVISION;
use crate::store::database;
use checks::{CHECKS, Check};
use report::{Finding, Found, Report};

mod checks;
mod report;

/// How many findings of a check are shown; all are counted.
const SHOWN: usize = 20;

/// How to verify.
#[derive(Args, Debug)]
pub struct VerifyArgs {
    /// Compares the tables with what the topics give, row by row, in place of the checks
    #[arg(long)]
    pub topics: bool,

    /// Ends with one JSON object on standard output in place of text
    #[arg(long)]
    pub json: bool,

    /// Where the tables are, and the topics.
    #[command(flatten)]
    pub source: TopicsArgs,
}

/// Looks for what is wrong in the tables.
///
/// # Errors
/// When a check of severity error finds something or a row is not what the topics give, or what kept the
/// tables from being looked at.
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
    let error = anyhow!("{rows} not what the topics give: `catalog-consumer rebuild` corrects that");
    Err(report.print_failure(args.json, error))
}

async fn check(args: &VerifyArgs, shutdown: &CancellationToken) -> anyhow::Result<()> {
    let pool = database::open(&args.source.database, 1).await?;
    let report = tokio::select! {
        report = look(&pool) => report?,
        () = shutdown.cancelled() => bail!(Stop::Interrupted("not all checks were made".to_owned())),
    };
    if report.errors() == 0 {
        return report.print(args.json);
    }
    let checks = counted(report.errors() as u64, "check has", "checks have");
    Err(report.print_failure(args.json, anyhow!("{checks} found errors")))
}

async fn look(pool: &PgPool) -> anyhow::Result<Report> {
    let mut report = Report::start();
    let moment = "begin transaction isolation level repeatable read read only";
    let mut tx = pool.begin_with(moment).await.context("can't begin a transaction")?;
    sqlx::query("select set_config('catalog_stream.form', $1, true)")
        .bind(REVISION.to_string())
        .execute(&mut *tx)
        .await?;
    for check in &CHECKS {
        let found = find(&mut tx, check).await;
        report.add(found.with_context(|| format!("can't check {}", check.name))?);
    }
    Ok(report)
}

async fn find(tx: &mut Transaction<'_, Postgres>, check: &'static Check) -> sqlx::Result<Found> {
    let query = format!(
        "select coalesce(what, '?'), coalesce(finding, '?'), count(*) over () from (\n{}\n) as found \
         order by what collate \"C\", finding collate \"C\" limit {SHOWN}",
        check.sql
    );
    let rows: Vec<(String, String, i64)> = sqlx::query_as(AssertSqlSafe(query)).fetch_all(&mut **tx).await?;
    let count = rows.first().map_or(0, |(_, _, count)| *count);
    let findings = rows.into_iter().map(|(what, finding, _)| Finding { what, finding }).collect();
    Ok(Found { check, count, findings })
}
