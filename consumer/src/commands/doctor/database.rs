//! The database: server, schema, rights, settings, clock and sizes.

use std::time::SystemTime;

use catalog_shared::doctor::Finding;
use sqlx::{FromRow, PgConnection};

use super::judgement;
use crate::config::DatabaseArgs;
use crate::store::database::{self, SchemaState};

/// The connections of `run` besides one per batch, including the one that only monitoring needs.
const EXTRA_CONNECTIONS: u32 = 3;
/// What can't be checked without a connection, and without a schema.
const NEED_SERVER: [&str; 4] = ["database_server", "database_settings", "connections", "schema"];
const NEED_SCHEMA: [&str; 3] = ["database_rights", "clocks", "table_sizes"];

#[derive(FromRow)]
struct Server {
    version: String,
    version_number: i32,
    is_standby: bool,
    username: String,
    may_create: bool,
    may_use_temporary: bool,
}

/// Examines the database. `batches` is the number of batches that `run` applies concurrently.
///
/// # Errors
/// The error of the database after a connection was opened.
pub(super) async fn examine(args: &DatabaseArgs, batches: u32) -> anyhow::Result<Vec<Finding>> {
    let (mut connection, state) = match database::inspect(args).await {
        Ok(opened) => opened,
        Err(error) => return Ok(unusable(&error)),
    };
    let mut found = vec![Finding::ok("database", database::address(args)?)];
    let server: Server =
        sqlx::query_as(include_str!("../../../sql/doctor/server.sql")).fetch_one(&mut connection).await?;
    found.push(judgement::server(&server.version, server.version_number, server.is_standby));
    found.push(settings(&mut connection).await?);
    let needed = batches + EXTRA_CONNECTIONS;
    found.push(connections(&mut connection, needed).await);
    found.push(judgement::schema(&state, &args.schema));
    if !matches!(state, SchemaState::UpToDate(_)) {
        found.extend(NEED_SCHEMA.map(|check| Finding::skipped(check, "the schema can't be used")));
        return Ok(found);
    }
    found.push(rights(&mut connection, args, &server).await?);
    found.push(clock(&mut connection).await?);
    found.push(sizes(&mut connection, args).await?);
    Ok(found)
}

fn unusable(error: &anyhow::Error) -> Vec<Finding> {
    let code = error.chain().find_map(|cause| cause.downcast_ref::<sqlx::Error>()).and_then(database::code);
    let next = judgement::next_for(error, code.as_deref());
    let mut found = vec![Finding::problem("database", database::format_error(error), next)];
    let skipped = NEED_SERVER.into_iter().chain(NEED_SCHEMA);
    found.extend(skipped.map(|check| Finding::skipped(check, "the database can't be used")));
    found
}

async fn rights(
    connection: &mut PgConnection,
    args: &DatabaseArgs,
    server: &Server,
) -> sqlx::Result<Finding> {
    let missing: Vec<String> = sqlx::query_scalar(include_str!("../../../sql/doctor/missing_rights.sql"))
        .bind(&args.schema)
        .bind(database::TABLES)
        .fetch_all(connection)
        .await?;
    Ok(judgement::rights(&server.username, &missing, server.may_create, server.may_use_temporary))
}

/// `needed` includes the connection for monitoring.
async fn connections(connection: &mut PgConnection, needed: u32) -> Finding {
    let limit = database::check_limit(connection, needed).await;
    let without_monitoring = database::check_limit(connection, needed - 1).await;
    judgement::connections(needed, limit, without_monitoring.is_ok())
}

async fn settings(connection: &mut PgConnection) -> sqlx::Result<Finding> {
    let settings: Vec<(String, String)> =
        sqlx::query_as(include_str!("../../../sql/doctor/settings.sql")).fetch_all(connection).await?;
    Ok(judgement::settings(&settings))
}

/// The server's answer is compared with the middle of the request.
async fn clock(connection: &mut PgConnection) -> anyhow::Result<Finding> {
    let before = since_1970()?;
    let (now, last_end): (f64, Option<f64>) =
        sqlx::query_as(include_str!("../../../sql/doctor/clock.sql")).fetch_one(connection).await?;
    let after = since_1970()?;
    let ours = f64::midpoint(before, after);
    Ok(judgement::clock(now - ours, last_end.map(|end| end - ours)))
}

fn since_1970() -> anyhow::Result<f64> {
    Ok(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs_f64())
}

async fn sizes(connection: &mut PgConnection, args: &DatabaseArgs) -> sqlx::Result<Finding> {
    let tables: Vec<(String, i64)> = sqlx::query_as(include_str!("../../../sql/doctor/sizes.sql"))
        .bind(&args.schema)
        .fetch_all(connection)
        .await?;
    Ok(judgement::sizes(&tables))
}
