//! Detects connection poolers in transaction or statement mode, which would mix up the sessions of several clients.
//!
//! Such a pooler (PgBouncer with `pool_mode = transaction` or `statement`) assigns a server process for one
//! transaction. Settings, temporary tables, prepared statements and session locks would leak to the next client. A
//! single client can't detect that, because an idle pooler gives it the same process each time. Two clients can: while
//! both are connected, each session belongs to one of them, so a process that both have seen is shared.

use std::time::Duration;

use anyhow::Context;
use catalog_shared::exit::Stop;
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection, Row, raw_sql};
use tokio::time::timeout;

use super::statement::execute_with_retries;
use crate::store::db_error;

/// Timeout of the second client. A pooler without a free process lets it wait for minutes. In that case the first client
/// keeps its process while it is idle, so the process is not shared.
const SECOND_CLIENT_TIMEOUT: Duration = Duration::from_secs(2);
/// The number of checks. On a busy pooler another client may get the process between two of them.
const CHECKS: usize = 3;

const PID: &str = "select pg_backend_pid()";
/// The open transaction pins the process to this client.
const PINNED_PID: &str = "begin; select pg_backend_pid()";

/// The setting that a pooler needs. The message about a pooler that shares sessions contains it.
pub(crate) const SESSION_MODE: &str = "pool_mode = session";

/// Refuses a pooler in transaction or statement mode. Called before anything is set, because a setting might reach
/// another client.
///
/// # Errors
/// [`Stop::Guard`] for such a pooler, or the error of the first connection.
pub(super) async fn refuse_shared(
    first: &mut PgConnection,
    options: &PgConnectOptions,
) -> anyhow::Result<()> {
    if is_shared(first, options).await.context("can't use the database")? {
        return Err(Stop::Guard(format!(
            "DATABASE_URL leads to a connection pooler in transaction or statement mode. The consumer needs a \
             session of its own for each connection, because it sets search_path and other settings, and uses session \
             locks and temporary tables. Use a pool with {SESSION_MODE}, or the server's own address"
        ))
        .into());
    }
    Ok(())
}

async fn is_shared(first: &mut PgConnection, options: &PgConnectOptions) -> sqlx::Result<bool> {
    let own = pid(first).await?;
    if pid(first).await? != own {
        return Ok(true);
    }
    // Sharing can't be detected without a second connection.
    let Ok(Ok(mut second)) = timeout(SECOND_CLIENT_TIMEOUT, PgConnection::connect_with(options)).await else {
        return Ok(false);
    };
    for _ in 0..CHECKS {
        let other = match timeout(SECOND_CLIENT_TIMEOUT, pinned_pid(&mut second)).await {
            Ok(Ok(other)) => other,
            // In statement mode there are no transactions.
            Ok(Err(error)) => return Ok(db_error::is_pooler_error(&error)),
            Err(_) => return Ok(false),
        };
        if other == own || pid(first).await? != own {
            return Ok(true);
        }
        raw_sql("rollback").execute(&mut second).await?;
    }
    // An error while closing does not matter.
    let _ = second.close().await;
    Ok(false)
}

async fn pid(connection: &mut PgConnection) -> sqlx::Result<i32> {
    execute_with_retries(connection, PID).await?.ok_or(sqlx::Error::RowNotFound)?.try_get(0)
}

async fn pinned_pid(connection: &mut PgConnection) -> sqlx::Result<i32> {
    raw_sql(PINNED_PID).fetch_one(connection).await?.try_get(0)
}
