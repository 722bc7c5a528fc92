//! A COPY of rows that were decoded elsewhere. A rebuild writes the rows of an empty table with it, decoded by all cores.

use std::collections::HashMap;

use anyhow::{Context, bail, ensure};
use catalog_shared::record::RecordType;
use sqlx::PgConnection;
use sqlx::postgres::PgCopyIn;
use time::OffsetDateTime;

use super::encoder::Encoder;
use super::{COPY, can_copy};
use crate::decode::rows::{Dataset, Rows, Versioned};
use crate::decode::{Decoded, decode};
use crate::model::record::Record;
use crate::model::topic::TopicKind;
use crate::store::rows::wide::Winner;

/// When rows are retired, by `region/domain/id`. Other rows are active.
pub(crate) type RetiredAt = HashMap<String, OffsetDateTime>;

/// A running COPY into the wide table.
pub(crate) struct RowStream<'c>(PgCopyIn<&'c mut PgConnection>);

impl<'c> RowStream<'c> {
    /// Starts it. None if the table was altered so that COPY does not fit it.
    pub(crate) async fn start(tx: &'c mut PgConnection) -> sqlx::Result<Option<Self>> {
        if !can_copy(tx).await? {
            return Ok(None);
        }
        let mut copy = tx.copy_in_raw(&COPY).await?;
        copy.send(Encoder::with_header().bytes()).await?;
        Ok(Some(Self(copy)))
    }

    pub(crate) async fn send(&mut self, rows: &Encoder) -> sqlx::Result<()> {
        self.0.send(rows.bytes()).await.map(drop)
    }

    /// Ends it, and returns the number of rows.
    pub(crate) async fn finish(mut self) -> sqlx::Result<u64> {
        let mut end = Encoder::default();
        end.end();
        self.send(&end).await?;
        self.0.finish().await
    }

    /// Ends it without a row.
    pub(crate) async fn abort(self) -> sqlx::Result<()> {
        self.0.abort("the rows can't be read").await
    }
}

/// Encodes the rows of datasets that were scanned before.
///
/// # Errors
/// If one of them can't be decoded.
pub(crate) fn encode(records: &[Record], retired_at: &RetiredAt) -> anyhow::Result<Encoder> {
    let Decoded { rows, dead, .. } = decode(TopicKind::Data(RecordType::Datasets), records);
    let Rows::Datasets(rows) = rows else { bail!("the records are not datasets") };
    ensure!(dead.is_empty() && rows.len() == records.len(), "a record was readable and is no longer");
    let mut encoder = Encoder::default();
    for row in rows {
        let retired_at = find(retired_at, &row);
        let row = Winner { row, is_new: true, retired_at };
        encoder.row(&row.decode()?).map_err(anyhow::Error::from_boxed).context("a row can't be encoded")?;
    }
    Ok(encoder)
}

fn find(retired_at: &RetiredAt, row: &Versioned<Dataset<'_>>) -> Option<OffsetDateTime> {
    if retired_at.is_empty() {
        return None;
    }
    let key = format!("{}/{}/{}", row.region.name(), row.row.domain, row.row.id);
    retired_at.get(&key).copied()
}
