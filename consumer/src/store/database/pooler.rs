//! Connection poolers that give a session to several clients in turn, which would mix up our sessions.
//!
//! Such a pooler (PgBouncer with `pool_mode = transaction` or `statement`) lends a server process out for a
//! transaction. Settings, temporary tables, prepared statements and session locks of ours would be left with whoever
//! comes next. One client alone can't notice it: on a quiet pooler it gets the same process each time. Two can. As
//! long as both are connected, a session belongs to one of them, so a process that both have seen is shared.

use std::time::Duration;

use anyhow::Context;
use catalog_shared::exit::Stop;
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection, Row, raw_sql};
use tokio::time::timeout;

use super::statement::insist;
use crate::store::db_error;

/// How long the second client waits. A pooler that has no process left for it makes it wait for minutes; then the
/// first one keeps its own while it is idle, so they share none.
const SECOND_WITHIN: Duration = Duration::from_secs(2);
/// On a busy pooler a process may go to a stranger between two looks.
const LOOKS: usize = 3;

const PID: &str = "select pg_backend_pid()";
/// The transaction is left open, which keeps the process for this client.
const HELD_PID: &str = "begin; select pg_backend_pid()";

/// Refuses a pooler in transaction or statement mode. Nothing is set before this, because it would be set for a
/// stranger.
///
/// # Errors
/// [`Stop::Guard`] for such a pooler, or what the first connection met.
pub(super) async fn refuse_shared(
    first: &mut PgConnection,
    options: &PgConnectOptions,
) -> anyhow::Result<()> {
    if is_shared(first, options).await.context("can't use the database")? {
        return Err(Stop::Guard(
            "DATABASE_URL leads to a connection pooler in transaction or statement mode. The consumer needs a \
             session of its own for each connection, because it sets search_path and other settings, and uses session \
             locks and temporary tables. Use a pool with pool_mode = session, or the server's own address"
                .to_owned(),
        )
        .into());
    }
    Ok(())
}

async fn is_shared(first: &mut PgConnection, options: &PgConnectOptions) -> sqlx::Result<bool> {
    let own = pid(first).await?;
    if pid(first).await? != own {
        return Ok(true);
    }
    // Without a second connection there is nobody to share with who is known.
    let Ok(Ok(mut second)) = timeout(SECOND_WITHIN, PgConnection::connect_with(options)).await else {
        return Ok(false);
    };
    for _ in 0..LOOKS {
        let other = match timeout(SECOND_WITHIN, held_pid(&mut second)).await {
            Ok(Ok(other)) => other,
            // In statement mode there are no transactions.
            Ok(Err(error)) => return Ok(db_error::is_refused_by_pooler(&error)),
            Err(_) => return Ok(false),
        };
        if other == own || pid(first).await? != own {
            return Ok(true);
        }
        raw_sql("rollback").execute(&mut second).await?;
    }
    // Its end is no concern of ours.
    let _ = second.close().await;
    Ok(false)
}

async fn pid(connection: &mut PgConnection) -> sqlx::Result<i32> {
    insist(connection, PID).await?.ok_or(sqlx::Error::RowNotFound)?.try_get(0)
}

async fn held_pid(connection: &mut PgConnection) -> sqlx::Result<i32> {
    raw_sql(HELD_PID).fetch_one(connection).await?.try_get(0)
}
