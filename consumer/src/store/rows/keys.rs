//! Writes rows of the wide table without their content: keys, hashes and `retired_at`. Decisions about runs read nothing else.

use sqlx::PgConnection;

use super::wide::Winner;

/// Writes rows that are sorted by key.
pub(super) async fn write(tx: &mut PgConnection, rows: &[Winner<'_>]) -> sqlx::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let column = rows.iter().map(|winner| &winner.row);
    sqlx::query(include_str!("../../../sql/rebuild/write_keys.sql"))
        .bind(column.clone().map(|row| row.region.name()).collect::<Vec<_>>())
        .bind(column.clone().map(|row| row.row.domain).collect::<Vec<_>>())
        .bind(column.clone().map(|row| row.row.id).collect::<Vec<_>>())
        .bind(column.map(|row| row.row.scanned.content_hash.as_bytes()).collect::<Vec<_>>())
        .bind(rows.iter().map(|winner| winner.retired_at).collect::<Vec<_>>())
        .execute(tx)
        .await
        .map(drop)
}
