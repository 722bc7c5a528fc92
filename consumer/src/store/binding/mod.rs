//! What the tables belong to: a prefix of topics, a Kafka cluster, and topics by their ids. It is written down when partitions
//! are first assigned, and compared from then on, so that nothing of other topics is ever applied.

use anyhow::Context;
use sqlx::{Connection, PgConnection};

use crate::model::source::Source;
use crate::store::binding::bound::{hold, read};

mod bound;
mod rebind;
mod refusal;

pub(crate) use rebind::{check_move, check_topic, rebind};

/// Whether these tables may be filled from this prefix, which needs no Kafka.
///
/// # Errors
/// [`catalog_shared::exit::Stop::Guard`] if they belong to another one, or what the database said.
pub(crate) async fn check_prefix(connection: &mut PgConnection, prefix: &str) -> anyhow::Result<()> {
    Ok(read(connection).await?.check_prefix(prefix)?)
}

/// Whether these tables may be compared with or filled from these topics.
///
/// # Errors
/// [`catalog_shared::exit::Stop::Guard`] if they belong to others, or what the database said.
pub(crate) async fn check(connection: &mut PgConnection, source: &Source) -> anyhow::Result<()> {
    Ok(read(connection).await?.check(source)?)
}

/// Binds the tables to these topics, as far as they are not bound yet: the prefix, the cluster, and each topic that has
/// positions.
///
/// # Errors
/// As [`check`].
pub(crate) async fn bind(connection: &mut PgConnection, source: &Source) -> anyhow::Result<()> {
    let mut tx = connection.begin().await?;
    hold(&mut tx).await?.check(source)?;
    sqlx::query(include_str!("../../../sql/binding/bind_tables.sql"))
        .bind(&source.prefix)
        .bind(&source.cluster)
        .execute(&mut *tx)
        .await
        .context("can't bind the tables to their topics")?;
    bind_positions(&mut tx, source).await.context("can't bind the positions to their topics")?;
    Ok(tx.commit().await?)
}

/// Writes only where an id is missing, because even an update of no row takes a lock on the table.
async fn bind_positions(tx: &mut PgConnection, source: &Source) -> sqlx::Result<()> {
    let (topics, ids): (Vec<_>, Vec<_>) = source.topics.iter().unzip();
    let is_unbound: bool = sqlx::query_scalar(include_str!("../../../sql/binding/has_unbound_positions.sql"))
        .bind(&topics)
        .fetch_one(&mut *tx)
        .await?;
    if is_unbound {
        sqlx::query(include_str!("../../../sql/binding/bind_topics.sql"))
            .bind(&topics)
            .bind(&ids)
            .execute(tx)
            .await?;
    }
    Ok(())
}
