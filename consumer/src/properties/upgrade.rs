//! Tables of an earlier version keep their meaning when they are upgraded to this build.

use std::env;

use anyhow::{Context, Result};
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, raw_sql};
use time::OffsetDateTime;

use crate::store::outbox;

static MIGRATIONS: Migrator = sqlx::migrate!("../migrations");

/// Runs and decisions from when runs were judged by region: a balanced, an approved and a superseded run, a run of one domain,
/// and a declined run.
const EARLIER: &str = r#"
    insert into runs (region, run, mode, kinds, state, reason, ended_at, marker)
    select 'us', run, mode, '{datasets}', state, reason, 'epoch'::timestamptz + run * interval '1 hour 1.5 s', marker
    from (
        values
            (1, 'full', 'balanced', null, '{"declared": {"A.Example": 1}, "seen": {"b.example": 2}}'::jsonb),
            (2, 'full', 'released', 'why', '{"declared": {"c.example": 1}, "seen": {}}'),
            (3, 'full', 'superseded', 'run 6 was accepted; it was held: why', '{"declared": {}, "seen": {}}'),
            (4, 'part', 'ended', null,
                '{"declared": {}, "seen": {"d.example": 1}, "domains": ["D.Example"], "limit": null, "from": null}'),
            (5, 'full', 'rejected', 'why', '{"declared": {}, "seen": {}}')
    ) as given (run, mode, state, reason, marker);
    insert into verdicts (region, run, state, reason, ended_at, decided_at, published)
    select region, run, state, reason, ended_at, ended_at, false from runs;
    insert into socrata_dataset_stats (region, domain, id, last_run, last_page, observed_at)
    select 'us', domain, domain, 1, 1, now() from unnest(array['b.example', 'c.example', 'far.example']) as given (domain);
    insert into socrata_datasets (region, domain, id, record, unreadable, content_hash, retired_at)
    select region, domain, id, '{}', '{}', '', retired_at(region, last_run) from socrata_dataset_stats
"#;

async fn pool(schema: &str) -> Result<PgPool> {
    let url = env::var("DATABASE_URL").context("DATABASE_URL is not set: run `make test`")?;
    let options: PgConnectOptions = url.parse()?;
    let pool = PgPoolOptions::new().connect_with(options.options([("search_path", schema)])).await?;
    raw_sql(AssertSqlSafe(format!("create schema {schema}"))).execute(&pool).await?;
    Ok(pool)
}

async fn migrate(pool: &PgPool, versions: impl Fn(i64) -> bool) -> Result<()> {
    for migration in MIGRATIONS.iter().filter(|migration| versions(migration.version)) {
        raw_sql(migration.sql.clone()).execute(pool).await.with_context(|| migration.version.to_string())?;
    }
    Ok(())
}

#[tokio::test]
async fn runs_that_were_judged_by_region_keep_their_decisions() -> Result<()> {
    let schema = format!("upgrade_{}", OffsetDateTime::now_utc().unix_timestamp_nanos());
    let pool = pool(&schema).await?;
    migrate(&pool, |version| version <= 6).await?;
    raw_sql(EARLIER).execute(&pool).await?;
    migrate(&pool, |version| version == 8).await?;

    let first_runs: Vec<(String, i64)> =
        sqlx::query_as("select domain, first_run from domain_first_runs order by domain")
            .fetch_all(&pool)
            .await?;
    let expected = [("a.example", 1), ("b.example", 1), ("c.example", 2)];
    assert_eq!(first_runs, expected.map(|(domain, run)| (domain.to_owned(), run)));
    let scopes: Vec<(i64, Vec<String>)> =
        sqlx::query_as("select run, scope from runs where scope is not null").fetch_all(&pool).await?;
    assert_eq!(scopes, [(4, vec!["d.example".to_owned()])]);

    // Run 2 covers the domains that it or an earlier full crawl knew. No run covers domains that only other crawls found.
    let retired: Vec<(String, Option<OffsetDateTime>)> =
        sqlx::query_as("select domain, retired_at from socrata_datasets order by domain")
            .fetch_all(&pool)
            .await?;
    let end: Option<OffsetDateTime> =
        sqlx::query_scalar("select ended_at from runs where run = 2").fetch_one(&pool).await?;
    let expected = [("b.example", end), ("c.example", end), ("far.example", None)];
    assert_eq!(retired, expected.map(|(domain, end)| (domain.to_owned(), end)));

    let decisions = outbox::unpublished(&pool).await?;
    let states: Vec<&str> = decisions.iter().map(|decision| decision.state().name()).collect();
    assert_eq!(states, ["balanced", "released", "held", "ended", "rejected"]);
    assert!(decisions[1..3].iter().all(|decision| decision.judged.reason.as_deref() == Some("why")));
    assert_eq!(
        decisions[0].ended_at,
        Some(OffsetDateTime::UNIX_EPOCH + time::Duration::milliseconds(3_601_500))
    );
    for decision in &decisions {
        outbox::mark_published(&pool, decision).await?;
    }
    assert_eq!(outbox::unpublished(&pool).await?, []);
    raw_sql(AssertSqlSafe(format!("drop schema {schema} cascade"))).execute(&pool).await?;
    Ok(())
}
