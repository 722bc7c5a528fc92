//! Which copy of the tables a connection looks at.

use anyhow::Context;
use sqlx::{FromRow, PgConnection};

use crate::model::copy_id::CopyId;

#[derive(FromRow)]
struct Found {
    identity: String,
    database: String,
    database_oid: i64,
    schema: String,
    may_read_server: bool,
}

/// Reads which tables a connection looks at.
///
/// # Errors
/// What the database says.
pub(crate) async fn read(connection: &mut PgConnection) -> anyhow::Result<CopyId> {
    let found: Found = sqlx::query_as(include_str!("../../sql/binding/read_copy_id.sql"))
        .fetch_one(&mut *connection)
        .await
        .context("can't read which tables these are")?;
    let server = if found.may_read_server { read_server(connection).await } else { None };
    let Found { identity, database, database_oid, schema, .. } = found;
    let oid = database_oid.to_string();
    Ok(CopyId::new([&identity, &database, &oid], schema, server.as_deref()))
}

/// None where the server refuses all the same.
async fn read_server(connection: &mut PgConnection) -> Option<String> {
    let read =
        sqlx::query_scalar(include_str!("../../sql/binding/read_server.sql")).fetch_one(connection).await;
    read.inspect_err(|error| tracing::debug!(%error, "can't read the server's identifier")).ok()
}
