//! The descriptions of the catalog tables, from which statements are built, agree with the migrations.

use anyhow::Result;

use super::tables::Tables;
use crate::store::tables::{ColumnRole, TABLES};

/// The columns that a table and its description don't share, or whose type or part in the key differs.
const DIFFERENT: &str = "
    select name
    from unnest($1::text[], $2::text[], $3::bool[]) as described (name, type, is_key)
    full join (
        select attname::text as name, atttypid, attnum = any (indkey) as is_key
        from pg_attribute
        join pg_index on indrelid = attrelid and indisprimary
        where attrelid = to_regclass($4) and attnum > 0 and not attisdropped
    ) as stored using (name)
    where (to_regtype(described.type)::oid, described.is_key) is distinct from (stored.atttypid, stored.is_key)";

#[tokio::test]
async fn each_table_has_exactly_the_columns_of_its_description() -> Result<()> {
    let tables = Tables::make("descriptions").await?;
    for table in TABLES {
        let columns = || table.columns.iter();
        let different: Vec<String> = sqlx::query_scalar(DIFFERENT)
            .bind(columns().map(|column| column.name).collect::<Vec<_>>())
            .bind(columns().map(|column| column.sql_type).collect::<Vec<_>>())
            .bind(columns().map(|column| column.role == ColumnRole::Key).collect::<Vec<_>>())
            .bind(format!("socrata_{}", table.name))
            .fetch_all(&tables.pool)
            .await?;
        assert_eq!(different, [""; 0], "{}", table.name);
    }
    tables.drop().await
}
