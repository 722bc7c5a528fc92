//! Reads the id of the copy of the tables that a connection uses.

use anyhow::Context;
use sqlx::{FromRow, PgConnection};

use crate::model::copy_id::CopyId;

#[derive(FromRow)]
struct CopyRow {
    identity: String,
    database: String,
    database_oid: i64,
    schema: String,
    may_read_server: bool,
}

/// Reads the id of a connection's copy of the tables.
///
/// # Errors
/// The error of the database.
pub(crate) async fn read(connection: &mut PgConnection) -> anyhow::Result<CopyId> {
    let row: CopyRow = sqlx::query_as(include_str!("../../sql/binding/read_copy_id.sql"))
        .fetch_one(&mut *connection)
        .await
        .context("can't read the identity of the tables")?;
    let server = if row.may_read_server { read_server(connection).await } else { None };
    let CopyRow { identity, database, database_oid, schema, .. } = row;
    let oid = database_oid.to_string();
    Ok(CopyId::new([&identity, &database, &oid], schema, server.as_deref()))
}

/// `None` if the server refuses, even though the privilege was granted.
async fn read_server(connection: &mut PgConnection) -> Option<String> {
    let read =
        sqlx::query_scalar(include_str!("../../sql/binding/read_server.sql")).fetch_one(connection).await;
    read.inspect_err(|error| tracing::debug!(%error, "can't read the server's identifier")).ok()
}
