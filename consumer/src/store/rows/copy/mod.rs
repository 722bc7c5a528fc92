//! Writes new rows of the wide table with a binary COPY. It costs the server half of what an upsert costs, and rows are
//! decoded while the server stores those before them.
//!
//! COPY can't skip a row, and it ends at the first one that the database refuses. So it runs in a savepoint, and after a
//! refusal the upsert takes its place.

use std::sync::LazyLock;

use sqlx::{Connection, PgConnection, Postgres, Row, Transaction, raw_sql};

use super::winner::Winner;
use crate::store::database::format_error;
use crate::store::db_error;
use crate::store::tables::{DATASETS, statements};
use encoder::Encoder;

mod encoder;

static CAN_COPY: LazyLock<String> = LazyLock::new(|| statements::can_copy(&DATASETS));
static COPY: LazyLock<String> = LazyLock::new(|| statements::copy(&DATASETS));

/// The bytes of a message to the server. A smaller one has more overhead; a larger one takes more memory, and the server
/// waits longer for it.
const MESSAGE_BYTES: usize = 128 * 1024;

/// Copies rows that are new, in the order of their keys. Returns false if nothing was written, because the table was
/// altered so that COPY does not fit it, or because the database refused the rows. Then an upsert must write them.
///
/// # Errors
/// A transient error of the database, or one that broke the connection.
pub(super) async fn copy<'a, 'r: 'a>(
    tx: &mut PgConnection,
    rows: impl Iterator<Item = &'a Winner<'r>>,
) -> anyhow::Result<bool> {
    if !can_copy(tx).await? {
        tracing::debug!("the table of datasets was altered, so new rows are not copied");
        return Ok(false);
    }
    let mut savepoint = tx.begin().await?;
    match send(&mut savepoint, rows).await {
        Ok(copied) => {
            savepoint.commit().await?;
            tracing::debug!(rows = copied, "new rows copied");
            Ok(true)
        }
        Err(error) => roll_back(savepoint, error).await.map(|()| false),
    }
}

/// Goes back to the savepoint after the database refused the rows.
///
/// # Errors
/// The error, if it has another reason.
async fn roll_back(savepoint: Transaction<'_, Postgres>, error: anyhow::Error) -> anyhow::Result<()> {
    let is_rejected = error.downcast_ref().is_some_and(db_error::rejects_copy);
    // If a pooler has closed the connection, its error is the reason.
    if !is_rejected || savepoint.rollback().await.is_err() {
        return Err(error);
    }
    tracing::debug!(error = format_error(&error), "the database refuses to copy new rows");
    Ok(())
}

/// Blocks changes of the table until the transaction ends.
async fn can_copy(tx: &mut PgConnection) -> sqlx::Result<bool> {
    let rows = raw_sql(CAN_COPY.as_str()).fetch_all(tx).await?;
    rows.last().ok_or(sqlx::Error::RowNotFound)?.try_get(0)
}

async fn send<'a, 'r: 'a>(
    tx: &mut PgConnection,
    rows: impl Iterator<Item = &'a Winner<'r>>,
) -> anyhow::Result<u64> {
    let mut copy = tx.copy_in_raw(&COPY).await?;
    let mut encoder = Encoder::new();
    for row in rows {
        let encoded = row.decode().and_then(|row| encoder.row(&row).map_err(anyhow::Error::from_boxed));
        if let Err(error) = encoded {
            copy.abort("a row can't be encoded").await?;
            return Err(error);
        }
        if encoder.bytes().len() >= MESSAGE_BYTES {
            copy.send(encoder.bytes()).await?;
            encoder.clear();
        }
    }
    encoder.end();
    copy.send(encoder.bytes()).await?;
    Ok(copy.finish().await?)
}
