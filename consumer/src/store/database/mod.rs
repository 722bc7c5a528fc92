//! The database: connections to one schema, and its migrations.

use std::collections::BTreeSet;

use anyhow::{Context, bail};
use catalog_shared::events;
use catalog_shared::exit::Stop;
use sqlx::migrate::Migrator;
use sqlx::postgres::PgPool;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Postgres, Transaction};

use crate::config::DatabaseArgs;

mod advice;
mod certificates;
mod connections;
mod error_text;
mod inspection;
mod pooler;
mod session;
mod statement;
mod url;

pub(crate) use advice::next_step;
pub(crate) use connections::check_limit;
pub(crate) use error_text::{code, format_error, message, with_formatted_text};
pub(crate) use inspection::{DatabaseTarget, SchemaState, address, inspect, target};
pub(crate) use pooler::SESSION_MODE;
pub(crate) use session::{CONNECT_TIMEOUT, Sessions};
use session::{MIGRATE_FIRST, SessionState};

/// The tables that the migrations create, and their own ledger. The schema may contain other tables, such as an analyst's.
pub(crate) const TABLES: [&str; 16] = [
    "_sqlx_migrations",
    "dead_letters",
    "domain_first_runs",
    "installation",
    "notifications",
    "positions",
    "run_floors",
    "run_partitions",
    "run_shields",
    "runs",
    "socrata_agencies",
    "socrata_dataset_stats",
    "socrata_datasets",
    "socrata_domains",
    "socrata_hosts",
    "verdicts",
];

static MIGRATIONS: Migrator = sqlx::migrate!("../migrations");

/// Creates the schema and its tables, or migrates them to this build's revision.
///
/// # Errors
/// [`Stop::Guard`] if a newer build has migrated them; if the database is unreachable or refuses a statement.
pub(crate) async fn migrate(args: &DatabaseArgs) -> anyhow::Result<()> {
    let sessions = Sessions::from_args(args)?;
    let opened = sessions.open().await.map_err(|error| connections::with_needed(error, 1));
    let (mut connection, state) = opened?;
    if !state.schema_exists {
        create_schema(&mut connection, &args.schema).await?;
    }
    check_not_newer(&applied_migrations(&mut connection).await?, &args.schema)?;
    // The migrator needs the right to create tables even if there is nothing to create.
    if !state.schema_exists || !is_up_to_date(&mut connection, &args.schema, &state).await? {
        migrate_exclusively(&mut connection).await?;
    }
    tracing::info!(event = events::SCHEMA_UP_TO_DATE, schema = args.schema, "schema is up to date");
    Ok(connection.close().await?)
}

/// Migrates under the schema lock, so that no batch is in flight.
async fn migrate_exclusively(connection: &mut PgConnection) -> anyhow::Result<()> {
    if !known_migrations().is_subset(&applied_migrations(connection).await?) {
        tracing::info!(
            event = events::SCHEMA_LOCK_WANTED,
            "taking the schema lock; this waits for batches in flight, a rebuild or another migration"
        );
        sqlx::query(include_str!("../../../sql/apply/lock_session.sql"))
            .execute(&mut *connection)
            .await
            .context("can't take the schema lock")?;
    }
    MIGRATIONS.run(connection).await.context("can't migrate")
}

/// Called only if the schema is missing, because even `if not exists` needs the right to create schemas.
async fn create_schema(connection: &mut PgConnection, schema: &str) -> anyhow::Result<()> {
    // The command line accepts only lower-case letters, digits and underscores. The name is quoted because it may be a
    // keyword.
    let statement = format!("create schema if not exists \"{schema}\"");
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut *connection).await.with_context(|| {
        format!(
            "can't create the schema {schema} (needs CREATE on the database; or let its owner create the schema)"
        )
    })?;
    let current: Option<String> =
        sqlx::query_scalar("select current_schema()::text").fetch_one(connection).await?;
    if current.as_deref() != Some(schema) {
        bail!("the session's current schema is not {schema}, which was just created");
    }
    Ok(())
}

/// Whether there is nothing to migrate. Always false if the user may create tables.
async fn is_up_to_date(
    connection: &mut PgConnection,
    schema: &str,
    state: &SessionState,
) -> anyhow::Result<bool> {
    state.check_schema(schema).map_err(anyhow::Error::msg)?;
    if state.may_create {
        return Ok(false);
    }
    if applied_migrations(connection).await? == known_migrations() {
        return Ok(true);
    }
    state.check_may_create(schema).map(|()| false)
}

/// A pool of at most `needed` connections to a migrated schema. They are opened on demand.
///
/// # Errors
/// [`Stop::Guard`] if a newer build has migrated the schema; if the database is unreachable, the schema is not migrated yet, or
/// that many connections are not allowed.
pub(crate) async fn open(args: &DatabaseArgs, needed: u32) -> anyhow::Result<PgPool> {
    let mut connection = connect_migrated(args, needed).await?;
    let identity = read_identity(&mut connection).await?;
    connection.close().await?;
    Ok(Sessions::from_args(args)?.expecting(&identity).pool(needed))
}

/// Like [`open`], with all connections opened. The command needs `beside` more connections at the same time.
///
/// # Errors
/// Same as [`open`]; the error contains the total number if they are not available.
pub(crate) async fn open_all(args: &DatabaseArgs, connections: u32, beside: u32) -> anyhow::Result<PgPool> {
    let pool = open(args, connections).await?;
    connections::fill(&Sessions::from_args(args)?, &pool, connections + beside).await?;
    Ok(pool)
}

/// A connection to a migrated schema, for a command that needs `needed` connections in total.
///
/// # Errors
/// Same as [`open`].
pub(crate) async fn connect_migrated(args: &DatabaseArgs, needed: u32) -> anyhow::Result<PgConnection> {
    let opened = Sessions::from_args(args)?.open_schema().await;
    let mut connection = opened.map_err(|error| connections::with_needed(error, needed))?;
    connections::check_limit(&mut connection, needed).await?;
    check_migrated(&mut connection, &args.schema).await?;
    let identity = read_identity(&mut connection).await?;
    session::set_expected_identity(&mut connection, &identity).await?;
    Ok(connection)
}

/// Begins a transaction that reads one snapshot and writes nothing.
///
/// # Errors
/// The error of the database.
pub(crate) async fn begin_snapshot(pool: &PgPool) -> anyhow::Result<Transaction<'static, Postgres>> {
    let begin = "begin transaction isolation level repeatable read read only";
    pool.begin_with(begin).await.context("can't begin a transaction")
}

/// The schema revision of this build: the number of its last migration.
pub(crate) fn revision() -> i64 {
    known_migrations().last().copied().unwrap_or_default()
}

async fn read_identity(connection: &mut PgConnection) -> anyhow::Result<String> {
    let identity: Option<String> = sqlx::query_scalar(include_str!("../../../sql/apply/read_identity.sql"))
        .fetch_optional(connection)
        .await
        .context("can't read the table installation")?;
    identity.context("the table installation is empty: `insert into installation default values` gives these tables an identity")
}

async fn check_migrated(connection: &mut PgConnection, schema: &str) -> anyhow::Result<()> {
    let applied = applied_migrations(connection).await?;
    let known = known_migrations();
    if !known.is_subset(&applied) {
        bail!("the schema {schema} is not up to date: {MIGRATE_FIRST}");
    }
    Ok(check_not_newer(&applied, schema)?)
}

/// Checks that no newer build has migrated the schema. A retry can't help, so a supervisor should not restart the program.
///
/// # Errors
/// [`Stop::Guard`] if one has.
fn check_not_newer(applied: &BTreeSet<i64>, schema: &str) -> Result<(), Stop> {
    if applied.is_subset(&known_migrations()) {
        return Ok(());
    }
    Err(Stop::Guard(format!(
        "the schema {schema} was migrated by a newer build: upgrade this consumer. Nothing was changed"
    )))
}

fn known_migrations() -> BTreeSet<i64> {
    MIGRATIONS.iter().map(|migration| migration.version).collect()
}

async fn applied_migrations(connection: &mut PgConnection) -> anyhow::Result<BTreeSet<i64>> {
    let exists: bool = sqlx::query_scalar("select to_regclass('_sqlx_migrations') is not null")
        .fetch_one(&mut *connection)
        .await?;
    if !exists {
        return Ok(BTreeSet::new());
    }
    let versions: Vec<i64> = sqlx::query_scalar("select version from _sqlx_migrations where success")
        .fetch_all(connection)
        .await
        .context("can't read the applied migrations (needs SELECT on _sqlx_migrations)")?;
    Ok(versions.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_tables_are_those_that_the_migrations_create() {
        let lines: Vec<&str> =
            MIGRATIONS.iter().flat_map(|migration| migration.sql.as_str().lines()).collect();
        assert!(!lines.iter().any(|line| line.starts_with("drop table")), "a table is dropped");
        let created = lines.iter().filter_map(|line| line.strip_prefix("create table ")?.split(' ').next());
        let created: BTreeSet<&str> = created.chain(["_sqlx_migrations"]).collect();
        assert_eq!(BTreeSet::from(TABLES), created);
    }
}
