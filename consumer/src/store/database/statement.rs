//! Statements that are tried again where a timeout cancels them.

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, raw_sql};

use crate::store::db_error;

/// How often a statement is tried that a default timeout cancels before that timeout could be switched off.
const TRIES: usize = 20;

/// Executes a short statement, again where a timeout cancels it; tells the first row.
pub(super) async fn insist(
    connection: &mut PgConnection,
    statement: &'static str,
) -> sqlx::Result<Option<PgRow>> {
    for _ in 1..TRIES {
        match raw_sql(statement).fetch_optional(&mut *connection).await {
            Err(error) if db_error::is_cancelled(&error) => {}
            other => return other,
        }
    }
    raw_sql(statement).fetch_optional(connection).await
}
