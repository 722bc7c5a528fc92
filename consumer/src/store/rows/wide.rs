//! Writes rows of the wide table: new ones with COPY if there are many, all others with an upsert.

use std::sync::LazyLock;

use sqlx::PgConnection;

use super::winner::Winner;
use super::{CopyRows, copy};
use crate::decode::literal::TextArray;
use crate::store::tables::{DATASETS, Read, WideRow, statements};

static UPSERT: LazyLock<String> = LazyLock::new(|| statements::upsert(&DATASETS));

/// Writes rows that are sorted by key.
pub(super) async fn write(tx: &mut PgConnection, rows: &[Winner<'_>], copy: CopyRows) -> anyhow::Result<()> {
    let new = || rows.iter().filter(|row| row.is_new);
    let copied = match copy {
        CopyRows::From(least) if new().count() >= least => copy::copy(tx, new()).await?,
        CopyRows::From(_) | CopyRows::Never => false,
    };
    let rest = rows.iter().filter(|row| !(copied && row.is_new)).map(Winner::decode);
    Ok(upsert(tx, &rest.collect::<anyhow::Result<Vec<_>>>()?).await?)
}

async fn upsert(tx: &mut PgConnection, rows: &[WideRow<'_>]) -> sqlx::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let reads = DATASETS.columns.iter().filter_map(|column| column.read);
    let query = reads.fold(sqlx::query(UPSERT.as_str()), |query, read| match read {
        Read::Text(read) | Read::Json(read) => query.bind(column(rows, read)),
        Read::List(read) => query.bind(column(rows, |row| read(row).map(TextArray::literal))),
        Read::Time(read) => query.bind(column(rows, read)),
        Read::Bytes(read) => query.bind(column(rows, read)),
    });
    query.execute(tx).await.map(drop)
}

fn column<'a, V>(rows: &'a [WideRow<'a>], read: impl Fn(&'a WideRow<'a>) -> V) -> Vec<V> {
    rows.iter().map(read).collect()
}
