//! Statements that are retried if a timeout cancels them.

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, raw_sql};

use crate::store::db_error;

/// The number of attempts. A default timeout may cancel a statement before that timeout is switched off.
const ATTEMPTS: usize = 20;

/// Executes a short statement, with retries if a timeout cancels it. Returns the first row.
pub(super) async fn execute_with_retries(
    connection: &mut PgConnection,
    statement: &'static str,
) -> sqlx::Result<Option<PgRow>> {
    for _ in 1..ATTEMPTS {
        match raw_sql(statement).fetch_optional(&mut *connection).await {
            Err(error) if db_error::is_cancelled(&error) => {}
            other => return other,
        }
    }
    raw_sql(statement).fetch_optional(connection).await
}
