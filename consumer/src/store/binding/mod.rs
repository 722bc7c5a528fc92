//! What the tables belong to: a prefix of topics, a Kafka cluster, and topics by their ids. It is written down when partitions
//! are first assigned, and compared from then on, so that nothing of other topics is ever applied.

use std::collections::BTreeMap;
use std::sync::Once;
use std::time::Duration;

use anyhow::Context;
use catalog_shared::kafka::KafkaArgs;
use rdkafka::consumer::Consumer;
use sqlx::{Connection, FromRow, PgConnection};
use tokio::task::spawn_blocking;

use crate::batch::TopicKind;
use crate::consume::caught_up;

pub(crate) mod admin;
pub(crate) mod home;
mod rebind;
mod refusal;

pub(crate) use rebind::{check_move, check_topic, rebind};

/// How long Kafka may take to name its cluster.
const LIMIT: Duration = Duration::from_secs(5);

/// What a command reads, as Kafka names it now. What Kafka does not name is compared with nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    /// For people.
    pub(crate) brokers: String,
    pub(crate) prefix: String,
    pub(crate) cluster: Option<String>,
    /// The ids of the topics that have one, by name.
    pub(crate) topics: BTreeMap<String, String>,
}

impl Source {
    /// Asks Kafka.
    ///
    /// # Errors
    /// When Kafka does not answer.
    pub(crate) async fn find(kafka: &KafkaArgs) -> anyhow::Result<Self> {
        let watcher = caught_up::watcher(kafka)?;
        let names = TopicKind::ALL.map(|kind| kind.topic(&kafka.topics()));
        let (brokers, prefix) = (kafka.brokers.clone(), kafka.topic_prefix.clone());
        let ask = move || {
            let client = watcher.client();
            let cluster = client.fetch_cluster_id(LIMIT).filter(|id| !id.is_empty());
            anyhow::Ok(Self { brokers, prefix, cluster, topics: admin::topic_ids(client, &names)? })
        };
        let source = spawn_blocking(ask).await??;
        if source.cluster.is_none() || source.topics.is_empty() {
            log_unknown(&source);
        }
        Ok(source)
    }
}

/// Says once that something can't be compared.
fn log_unknown(source: &Source) {
    static TOLD: Once = Once::new();
    TOLD.call_once(|| {
        tracing::info!(
            cluster = source.cluster,
            topics_with_ids = source.topics.len(),
            "Kafka does not name its cluster and topics by ids: a topic that is made again may go unnoticed"
        );
    });
}

/// What the tables belong to.
#[derive(Debug, Default, FromRow)]
struct Bound {
    topic_prefix: Option<String>,
    cluster_id: Option<String>,
    schema: String,
    /// The ids of the topics by name; several where a topic's partitions differ.
    #[sqlx(skip)]
    topics: Vec<(String, String)>,
}

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

/// As [`check`], for a command that asks Kafka only for this.
///
/// # Errors
/// As [`check`], or when Kafka does not answer.
pub(crate) async fn check_now(connection: &mut PgConnection, kafka: &KafkaArgs) -> anyhow::Result<()> {
    check_prefix(connection, &kafka.topic_prefix).await?;
    check(connection, &Source::find(kafka).await?).await
}

/// Binds the tables to these topics, as far as they are not bound yet: the prefix, the cluster, and each topic that has
/// positions.
///
/// # Errors
/// As [`check`].
pub(crate) async fn bind(connection: &mut PgConnection, source: &Source) -> anyhow::Result<()> {
    let mut tx = connection.begin().await?;
    hold(&mut tx).await?.check(source)?;
    sqlx::query(include_str!("../../sql/binding/bind_tables.sql"))
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
    let is_unbound: bool = sqlx::query_scalar(include_str!("../../sql/binding/has_unbound_positions.sql"))
        .bind(&topics)
        .fetch_one(&mut *tx)
        .await?;
    if is_unbound {
        sqlx::query(include_str!("../../sql/binding/bind_topics.sql"))
            .bind(&topics)
            .bind(&ids)
            .execute(tx)
            .await?;
    }
    Ok(())
}

async fn read(connection: &mut PgConnection) -> anyhow::Result<Bound> {
    complete(include_str!("../../sql/binding/read_binding.sql"), connection).await
}

/// As [`read`]; nobody else binds the tables before the transaction ends.
async fn hold(connection: &mut PgConnection) -> anyhow::Result<Bound> {
    complete(include_str!("../../sql/binding/hold_binding.sql"), connection).await
}

async fn complete(statement: &'static str, connection: &mut PgConnection) -> anyhow::Result<Bound> {
    let bound: Bound = sqlx::query_as(statement)
        .fetch_one(&mut *connection)
        .await
        .context("can't read what the tables belong to (the table installation)")?;
    let topics = sqlx::query_as(include_str!("../../sql/binding/read_topic_ids.sql"))
        .fetch_all(connection)
        .await
        .context("can't read the ids of the topics")?;
    Ok(Bound { topics, ..bound })
}
