//! The database: connections that look into one schema, and the migrations that make it.

use std::collections::BTreeSet;

use anyhow::{Context, bail};
use sqlx::migrate::Migrator;
use sqlx::postgres::PgPool;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::config::DatabaseArgs;

mod connections;
mod error_text;
mod pooler;
mod session;
mod statement;
mod url;

pub(crate) use error_text::{code, in_database_words, in_words, message};
pub(crate) use session::{CONNECT_TIMEOUT, Sessions};
use session::{Found, MIGRATE_FIRST};

static MIGRATIONS: Migrator = sqlx::migrate!("../migrations");

/// Makes the schema and its tables, or brings them up to this build.
///
/// # Errors
/// When the database can't be reached, refuses, or was migrated by a newer build.
pub(crate) async fn migrate(args: &DatabaseArgs) -> anyhow::Result<()> {
    let sessions = Sessions::of(args)?;
    let opened = sessions.open().await.map_err(|error| connections::with_needed(error, 1));
    let (mut connection, found) = opened?;
    if !found.is_there {
        make_schema(&mut connection, &args.schema).await?;
    }
    // The migrator asks for the right to make tables even where there are none to make.
    if !found.is_there || !is_up_to_date(&mut connection, &args.schema, &found).await? {
        migrate_alone(&mut connection).await?;
    }
    tracing::info!(schema = args.schema, "the tables are up to this build");
    Ok(connection.close().await?)
}

/// Migrates while no batch is in flight.
async fn migrate_alone(connection: &mut PgConnection) -> anyhow::Result<()> {
    if !known_migrations().is_subset(&applied_migrations(connection).await?) {
        sqlx::query(include_str!("../../../sql/apply/lock_session.sql"))
            .execute(&mut *connection)
            .await
            .context("can't take the schema lock")?;
    }
    MIGRATIONS.run(connection).await.context("can't migrate")
}

/// Only where the schema is missing, because even `if not exists` asks for the right to make one.
async fn make_schema(connection: &mut PgConnection, schema: &str) -> anyhow::Result<()> {
    // The name is checked by the command line: lower-case letters, digits and underscores. Quoted, because it
    // may still be a keyword.
    let statement = format!("create schema if not exists \"{schema}\"");
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut *connection).await.with_context(|| {
        format!(
            "can't make the schema {schema} (needs CREATE on the database; or let its owner make the schema)"
        )
    })?;
    let looks_into: Option<String> =
        sqlx::query_scalar("select current_schema()::text").fetch_one(connection).await?;
    if looks_into.as_deref() != Some(schema) {
        bail!("the session looks into another schema than {schema}, which was just made");
    }
    Ok(())
}

/// Whether there is nothing to do for somebody who may make no tables.
async fn is_up_to_date(connection: &mut PgConnection, schema: &str, found: &Found) -> anyhow::Result<bool> {
    found.check_schema(schema).map_err(anyhow::Error::msg)?;
    if found.may_create {
        return Ok(false);
    }
    if applied_migrations(connection).await? == known_migrations() {
        return Ok(true);
    }
    found.check_may_create(schema).map(|()| false)
}

/// A pool of at most so many connections to a schema that was migrated. They are opened when they are needed.
///
/// # Errors
/// When the database can't be reached, its tables are not the ones of this build, or that many connections are not
/// allowed.
pub(crate) async fn open(args: &DatabaseArgs, needed: u32) -> anyhow::Result<PgPool> {
    let mut connection = connect_migrated(args, needed).await?;
    let identity = read_identity(&mut connection).await?;
    connection.close().await?;
    Ok(Sessions::of(args)?.expecting(&identity).pool(needed))
}

/// As [`open`], with all connections open. The command needs `beside` others at the same time.
///
/// # Errors
/// As [`open`]; says how many are needed where they can't be had.
pub(crate) async fn open_all(args: &DatabaseArgs, connections: u32, beside: u32) -> anyhow::Result<PgPool> {
    let pool = open(args, connections).await?;
    connections::fill(&Sessions::of(args)?, &pool, connections + beside).await?;
    Ok(pool)
}

/// A connection to a schema that was migrated, for a command that needs so many in all.
///
/// # Errors
/// As [`open`].
pub(crate) async fn connect_migrated(args: &DatabaseArgs, needed: u32) -> anyhow::Result<PgConnection> {
    let opened = Sessions::of(args)?.open_schema().await;
    let mut connection = opened.map_err(|error| connections::with_needed(error, needed))?;
    connections::check_limit(&mut connection, needed).await?;
    check_migrated(&mut connection, &args.schema).await?;
    let identity = read_identity(&mut connection).await?;
    session::expect(&mut connection, &identity).await?;
    Ok(connection)
}

/// The revision of the schema that this program was built for: the number of its last migration.
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
        bail!("the schema {schema} is not up to this build: {MIGRATE_FIRST}");
    }
    if !applied.is_subset(&known) {
        bail!("the schema {schema} was migrated by a newer build: upgrade this consumer");
    }
    Ok(())
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
        .context("can't read which migrations were run (needs SELECT on _sqlx_migrations)")?;
    Ok(versions.into_iter().collect())
}
