//! The database: connections that look into one schema, and the migrations that make it.

use std::collections::BTreeSet;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, bail};
use catalog_shared::exit::Stop;
use log::LevelFilter;
use secrecy::ExposeSecret;
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection};
use tracing::subscriber::{NoSubscriber, with_default};

use crate::cli::DatabaseArgs;

/// How long a connection may take. The loop of a consumer waits for one now and then, and must not be kept
/// from receiving for long.
pub(crate) const CONNECT_PATIENCE: Duration = Duration::from_secs(5);

static MIGRATIONS: Migrator = sqlx::migrate!("../migrations");

/// How long a transaction may rest between two statements until the server ends it. A member that was put
/// to sleep, or whose machine is gone, would else hold its partition's position for as long as its
/// connection lives, and no other member could take over. Well under the group's session.
const IDLE_IN_TRANSACTION: &str = "10s";

/// The setting of each session that has the identity of the tables as it was at the program's start. The schema
/// lock compares it with the identity of the tables now.
const IDENTITY_SETTING: &str = "catalog_stream.identity";

/// From when on a statement is logged as slow, at the level of details.
const SLOW: Duration = Duration::from_secs(1);

/// Makes the schema and its tables, or brings them up to this build.
///
/// # Errors
/// When the database can't be reached, refuses, or was migrated by a newer build.
pub async fn migrate(args: &DatabaseArgs) -> anyhow::Result<()> {
    let mut connection = connect(args).await?;
    // The name is checked by the command line: lower-case letters, digits and underscores. Quoted, for it
    // may still be a keyword.
    let schema = format!("create schema if not exists \"{}\"", args.schema);
    sqlx::raw_sql(AssertSqlSafe(schema)).execute(&mut connection).await.context("can't make the schema")?;
    if !known_migrations().is_subset(&applied_migrations(&mut connection).await?) {
        sqlx::query(include_str!("../sql/apply/lock_session.sql"))
            .execute(&mut connection)
            .await
            .context("can't take the schema lock")?;
    }
    MIGRATIONS.run(&mut connection).await.context("can't migrate")?;
    tracing::info!(schema = args.schema, "the tables are up to this build");
    Ok(connection.close().await?)
}

/// A pool of connections to a schema that was migrated: one for each batch in flight, and two for the
/// loop itself and for the verdicts, which must not wait for batches.
///
/// # Errors
/// When the database can't be reached, or its tables are not the ones of this build.
pub(crate) async fn open(args: &DatabaseArgs, connections: u32) -> anyhow::Result<PgPool> {
    let mut connection = connect_migrated(args).await?;
    let identity = read_identity(&mut connection).await?;
    connection.close().await?;
    let settings =
        [("idle_in_transaction_session_timeout", IDLE_IN_TRANSACTION), (IDENTITY_SETTING, identity.as_str())];
    let options = options(args)?.options(settings);
    let pool = PgPoolOptions::new().max_connections(connections + 2).acquire_timeout(CONNECT_PATIENCE);
    Ok(pool.connect_lazy_with(options))
}

/// A connection to a schema that was migrated.
///
/// # Errors
/// As [`open`].
pub(crate) async fn connect_migrated(args: &DatabaseArgs) -> anyhow::Result<PgConnection> {
    let mut connection = connect(args).await?;
    check_migrated(&mut connection, &args.schema).await?;
    let identity = read_identity(&mut connection).await?;
    sqlx::query("select set_config($1, $2, false)")
        .bind(IDENTITY_SETTING)
        .bind(identity)
        .execute(&mut connection)
        .await?;
    Ok(connection)
}

/// The revision of the schema that this program was built for: the number of its last migration.
pub(crate) fn revision() -> i64 {
    known_migrations().last().copied().unwrap_or_default()
}

async fn read_identity(connection: &mut PgConnection) -> anyhow::Result<String> {
    let identity: Option<String> = sqlx::query_scalar(include_str!("../sql/apply/read_identity.sql"))
        .fetch_optional(connection)
        .await
        .context("can't read the table installation")?;
    identity.context("the table installation is empty: `insert into installation default values` gives these tables an identity")
}

async fn connect(args: &DatabaseArgs) -> anyhow::Result<PgConnection> {
    let options = options(args)?;
    PgConnection::connect_with(&options).await.context("can't connect to the database (DATABASE_URL)")
}

/// Neither migrations nor statements name the schema: each connection looks into the one it is told.
fn options(args: &DatabaseArgs) -> Result<PgConnectOptions, Stop> {
    const EXAMPLE: &str = "such as postgres://user:password@127.0.0.1:5432/catalog";
    let url =
        args.database_url.as_ref().map(ExposeSecret::expose_secret).filter(|url| !url.trim().is_empty());
    let url =
        url.ok_or_else(|| Stop::Usage(format!("--database-url (DATABASE_URL) is missing, {EXAMPLE}")))?;
    // The parser's own message may quote the URL, and so the password; and it logs parameters that it
    // doesn't know with their values.
    let options = with_default(NoSubscriber::new(), || PgConnectOptions::from_str(url))
        .map_err(|_| Stop::Usage(format!("--database-url (DATABASE_URL) is not a URL {EXAMPLE}")))?;
    let search_path = format!("\"{}\"", args.schema);
    // Below warnings a server only tells what is as it should be, such as a schema that exists already.
    let settings = [("search_path", search_path.as_str()), ("client_min_messages", "warning")];
    // A comparison of whole tables takes seconds as a matter of course, and nobody has to act on that.
    let options = options.log_slow_statements(LevelFilter::Debug, SLOW);
    Ok(options.application_name("catalog-consumer").options(settings))
}

async fn check_migrated(connection: &mut PgConnection, schema: &str) -> anyhow::Result<()> {
    let applied = applied_migrations(connection).await?;
    let known = known_migrations();
    if !known.is_subset(&applied) {
        bail!(
            "the schema {schema} is not up to this build: run `catalog-consumer migrate` first, or `run --migrate`"
        );
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
        .await?;
    Ok(versions.into_iter().collect())
}
