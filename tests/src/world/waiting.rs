//! Waiting for what has no event: another session's lock, another program's row, or what a server does a moment later.

use anyhow::{Context, Error, Result};
use tokio::time::{interval, timeout};

use super::{LIMIT, LOOK_AGAIN, World};

/// Whether a statement of this text waits for a lock in this database.
const BLOCKED: &str = "select exists (select from pg_stat_activity where datname = current_database()
     and wait_event_type = 'Lock' and query like $1)";

/// Repeats an attempt until it succeeds, and returns what it returns.
///
/// # Errors
/// If none succeeds within five minutes. Contains the error of the last one.
pub async fn until_ok<T>(mut attempt: impl AsyncFnMut() -> Result<T>) -> Result<T> {
    let (mut again, mut last) = (interval(LOOK_AGAIN), None::<Error>);
    let attempts = async {
        loop {
            again.tick().await;
            match attempt().await {
                Ok(found) => return found,
                Err(error) => last = Some(error),
            }
        }
    };
    match timeout(LIMIT, attempts).await {
        Ok(found) => Ok(found),
        Err(_) => Err(last
            .unwrap_or_else(|| Error::msg("the first attempt never ended"))
            .context("never succeeded")),
    }
}

impl World {
    /// Returns when a query of one boolean returns `true`.
    ///
    /// # Errors
    /// If it is still `false` after five minutes, or what PostgreSQL reports.
    pub async fn until(&self, query: &'static str) -> Result<()> {
        self.until_true(query, None).await
    }

    /// Returns when a statement of this text (a pattern of `like`) waits for a lock.
    ///
    /// # Errors
    /// Same as [`World::until`].
    pub async fn until_blocked(&self, statement: &str) -> Result<()> {
        self.until_true(BLOCKED, Some(statement)).await
    }

    async fn until_true(&self, query: &'static str, argument: Option<&str>) -> Result<()> {
        let mut again = interval(LOOK_AGAIN);
        let checks = async {
            loop {
                again.tick().await;
                let query = sqlx::query_scalar::<_, bool>(query);
                let query = argument.into_iter().fold(query, |query, argument| query.bind(argument));
                if query.fetch_one(&self.pool).await? {
                    return anyhow::Ok(());
                }
            }
        };
        let what = argument.unwrap_or(query);
        timeout(LIMIT, checks).await.with_context(|| format!("never true: {what}"))?
    }
}
