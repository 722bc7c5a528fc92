//! Checks that a command can have the connections that it needs.

use anyhow::{Context, bail};
use futures::future::try_join_all;
use sqlx::{PgConnection, PgPool};
use tokio::time::timeout;

use super::session::{CONNECT_TIMEOUT, Sessions};
use crate::store::db_error;

/// Checks the connection limits of the role and the database.
///
/// # Errors
/// If fewer connections are allowed than are needed.
pub(crate) async fn check_limit(connection: &mut PgConnection, needed: u32) -> anyhow::Result<()> {
    let limit: Option<i32> = sqlx::query_scalar(include_str!("../../../sql/session/find_limit.sql"))
        .fetch_optional(connection)
        .await?
        .flatten();
    match limit {
        Some(limit) if i64::from(limit) < i64::from(needed) => bail!(
            "this command needs {}, and its user may have {limit} (the CONNECTION LIMIT of the role or of the \
             database). {RAISE_LIMIT}",
            counted(needed)
        ),
        _ => Ok(()),
    }
}

const RAISE_LIMIT: &str = "Raise the limit, or use fewer with --connections where the command has it";

/// Opens all connections of a pool.
///
/// # Errors
/// Reports the total number if they are not available. The error is transient, because others may close theirs.
pub(super) async fn fill(sessions: &Sessions, pool: &PgPool, needed: u32) -> anyhow::Result<()> {
    let all = (0..pool.options().get_max_connections()).map(|_| pool.acquire());
    let Err(error) = try_join_all(all).await.map(drop) else { return Ok(()) };
    if !matches!(error, sqlx::Error::PoolTimedOut) {
        return Err(with_needed(error.into(), needed));
    }
    // The pool does not report the reason.
    let reason = match timeout(CONNECT_TIMEOUT, sessions.probe()).await {
        Ok(Err(reason)) => reason,
        // A pooler without a free session makes the client wait.
        Ok(Ok(())) | Err(_) => error.into(),
    };
    Err(reason).with_context(|| format!("this command needs {}", counted(needed)))
}

/// Adds the needed number to an error about too many connections.
pub(super) fn with_needed(error: anyhow::Error, needed: u32) -> anyhow::Error {
    if db_error::has_too_many_connections(&error) {
        error.context(format!("this command needs {}", counted(needed)))
    } else {
        error
    }
}

fn counted(needed: u32) -> String {
    match needed {
        1 => "1 connection to the database".to_owned(),
        needed => format!("{needed} connections to the database at once"),
    }
}
