//! The database: server, schema, rights, settings, clock and sizes.

use std::time::SystemTime;

use catalog_shared::doctor::Finding;
use sqlx::{FromRow, PgConnection};

use super::{judgement, next, storage};
use crate::config::DatabaseArgs;
use crate::store::database::{self, DatabaseTarget, SchemaState};

/// The connections of `run` besides one per batch, including the one that only monitoring needs.
const EXTRA_CONNECTIONS: u32 = 3;
/// What can't be checked without a connection, and without a schema.
const NEED_SERVER: [&str; 6] =
    ["database_server", "database_settings", "connections", "database_disk", "blocked_sessions", "schema"];
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
        Err(error) => return Ok(unusable(args, &error)),
    };
    let mut found = vec![Finding::ok("database", database::address(args)?)];
    let (target, connection) = (database::target(args)?, &mut connection);
    let server: Server =
        sqlx::query_as(include_str!("../../../sql/doctor/server.sql")).fetch_one(&mut *connection).await?;
    found.push(judgement::server(&server.version, server.version_number, server.is_standby));
    found.push(settings(connection, &target).await?);
    found.push(connections(connection, batches + EXTRA_CONNECTIONS, &target).await);
    let read_only = read_only(&server);
    found.extend(storage::examine(connection, (read_only, server.version_number), &target).await);
    found.push(judgement::schema(&state, &args.schema, &target));
    if matches!(state, SchemaState::UpToDate(_)) {
        found.push(rights(connection, args, &server, &target).await?);
        found.push(clock(connection).await?);
        found.push(sizes(connection, args).await?);
    } else {
        found.extend(NEED_SCHEMA.map(|check| Finding::skipped(check, "the schema can't be used")));
    }
    Ok(found)
}

/// Why the test of the disk can't write; `None` if it can.
const fn read_only(server: &Server) -> Option<&'static str> {
    if server.is_standby {
        Some("a standby accepts no writes")
    } else if server.may_use_temporary {
        None
    } else {
        Some("this user may not create temporary tables here")
    }
}

fn unusable(args: &DatabaseArgs, error: &anyhow::Error) -> Vec<Finding> {
    let code = error.chain().find_map(|cause| cause.downcast_ref::<sqlx::Error>()).and_then(database::code);
    let next = next::for_unusable(args, error, code.as_deref());
    let mut found = vec![Finding::problem("database", database::format_error(error), next)];
    let skipped = NEED_SERVER.into_iter().chain(NEED_SCHEMA);
    found.extend(skipped.map(|check| Finding::skipped(check, "the database can't be used")));
    found
}

async fn rights(
    connection: &mut PgConnection,
    args: &DatabaseArgs,
    server: &Server,
    target: &DatabaseTarget,
) -> sqlx::Result<Finding> {
    let missing: Vec<String> = sqlx::query_scalar(include_str!("../../../sql/doctor/missing_rights.sql"))
        .bind(&args.schema)
        .bind(database::TABLES)
        .fetch_all(connection)
        .await?;
    let next = next::grant(target, &args.schema);
    let on_database = judgement::DatabaseRights {
        may_create: server.may_create,
        may_use_temporary: server.may_use_temporary,
    };
    Ok(judgement::rights(&server.username, &missing, &on_database, next))
}

/// `needed` includes the connection for monitoring.
async fn connections(connection: &mut PgConnection, needed: u32, target: &DatabaseTarget) -> Finding {
    let limit = database::check_limit(connection, needed).await;
    let without_monitoring = database::check_limit(connection, needed - 1).await;
    judgement::connections(needed, limit, without_monitoring.is_ok(), target)
}

async fn settings(connection: &mut PgConnection, target: &DatabaseTarget) -> sqlx::Result<Finding> {
    let settings: Vec<(String, String)> =
        sqlx::query_as(include_str!("../../../sql/doctor/settings.sql")).fetch_all(connection).await?;
    Ok(judgement::settings(&settings, target))
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
