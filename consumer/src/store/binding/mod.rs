//! The binding of the tables to their source: a topic prefix, a Kafka cluster, and topics by id. It is stored when
//! partitions are first assigned, and checked from then on, so that records of other topics are never applied.

use anyhow::Context;
use sqlx::{Connection, PgConnection};

use crate::model::source::Source;
use crate::store::binding::bound::{read, read_for_update};

mod bound;
mod rebind;
mod refusal;

pub(crate) use rebind::{check_move, check_topic, rebind};

/// Checks that these tables may be filled from this prefix. Needs no Kafka.
///
/// # Errors
/// [`catalog_shared::exit::Stop::Guard`] if they belong to another prefix, or the error of the database.
pub(crate) async fn check_prefix(connection: &mut PgConnection, prefix: &str) -> anyhow::Result<()> {
    Ok(read(connection).await?.check_prefix(prefix)?)
}

/// Checks that these tables may be compared with or filled from these topics.
///
/// # Errors
/// [`catalog_shared::exit::Stop::Guard`] if they belong to other topics, or the error of the database.
pub(crate) async fn check(connection: &mut PgConnection, source: &Source) -> anyhow::Result<()> {
    Ok(read(connection).await?.check(source)?)
}

/// The topics that were deleted and recreated since these tables were bound to them.
///
/// # Errors
/// The error of the database.
pub(crate) async fn recreated(connection: &mut PgConnection, source: &Source) -> anyhow::Result<Vec<String>> {
    Ok(read(connection).await?.recreated(source).map(|(topic, _, _)| topic.to_owned()).collect())
}

/// Binds the tables to these topics: the prefix, the cluster, and each topic that has positions. Existing bindings stay.
///
/// # Errors
/// Same as [`check`].
pub(crate) async fn bind(connection: &mut PgConnection, source: &Source) -> anyhow::Result<()> {
    let mut tx = connection.begin().await?;
    read_for_update(&mut tx).await?.check(source)?;
    sqlx::query(include_str!("../../../sql/binding/bind_tables.sql"))
        .bind(&source.prefix)
        .bind(&source.cluster)
        .execute(&mut *tx)
        .await
        .context("can't bind the tables to their topics")?;
    bind_positions(&mut tx, source).await.context("can't bind the positions to their topics")?;
    Ok(tx.commit().await?)
}

/// Updates only if an id is missing, because even an update without rows locks the table.
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
