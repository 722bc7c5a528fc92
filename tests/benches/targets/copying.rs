//! PostgreSQL's limit: prepared rows are copied into an empty table with the same columns and indexes.

use std::time::Instant;

use anyhow::{Result, ensure};
use bytes::{Bytes, BytesMut};
use futures::TryStreamExt;
use futures::future::try_join_all;
use sqlx::postgres::PgPoolCopyExt;
use sqlx::{AssertSqlSafe, PgPool};

use crate::figure::Figure;

/// Bytes per message to the server. Larger messages don't make COPY faster.
const PIECE: usize = 192 * 1024;

/// How rows are written.
#[derive(Clone, Copy)]
pub(crate) enum Form {
    Text,
    Binary,
}

impl Form {
    const fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Binary => "binary",
        }
    }
}

/// Rows of a schema's wide table, ready to be copied.
pub(crate) struct Rows {
    schema: String,
    form: Form,
    /// The pieces of each connection.
    shares: Vec<Vec<Bytes>>,
}

impl Rows {
    /// Reads the rows, split over 1 or 2 connections.
    pub(crate) async fn read(pool: &PgPool, schema: &str, form: Form, connections: usize) -> Result<Self> {
        ensure!((1..=2).contains(&connections), "rows are split in two at most");
        let mut shares = Vec::new();
        for share in 0..connections {
            let copy = format!(
                "copy (select * from {schema}.socrata_datasets where hashtext(id) & {} = {share})
                 to stdout (format {})",
                connections - 1,
                form.name()
            );
            let pieces = pool.copy_out_raw(&copy).await?.map_err(anyhow::Error::from);
            shares.push(
                pieces.try_fold(Vec::new(), |all, piece| async move { Ok(joined(all, &piece)) }).await?,
            );
        }
        Ok(Self { schema: schema.to_owned(), form, shares: shares.into_iter().map(frozen).collect() })
    }

    /// Copies the rows.
    pub(crate) async fn copy(&self, pool: &PgPool) -> Result<Figure> {
        let table = format!("{}.limit_of_copy", self.schema);
        let create = format!("create table {table} (like {}.socrata_datasets including all)", self.schema);
        sqlx::query(AssertSqlSafe(create)).execute(pool).await?;
        let began = Instant::now();
        let shares = self.shares.iter().map(|share| copy_share(pool, &table, self.form, share));
        let records = try_join_all(shares).await?.into_iter().sum();
        let seconds = began.elapsed().as_secs_f64();
        sqlx::query(AssertSqlSafe(format!("drop table {table}"))).execute(pool).await?;
        Ok(Figure { records, seconds })
    }
}

/// Appends to the last piece as long as that is small.
fn joined(mut pieces: Vec<BytesMut>, more: &Bytes) -> Vec<BytesMut> {
    match pieces.last_mut() {
        Some(last) if last.len() < PIECE => last.extend_from_slice(more),
        _ => pieces.push(BytesMut::from(&more[..])),
    }
    pieces
}

fn frozen(pieces: Vec<BytesMut>) -> Vec<Bytes> {
    pieces.into_iter().map(BytesMut::freeze).collect()
}

async fn copy_share(pool: &PgPool, table: &str, form: Form, pieces: &[Bytes]) -> Result<u64> {
    let copy = format!("copy {table} from stdin (format {})", form.name());
    let mut copy = pool.copy_in_raw(&copy).await?;
    for piece in pieces {
        copy.send(&piece[..]).await?;
    }
    Ok(copy.finish().await?)
}
