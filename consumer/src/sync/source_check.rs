//! Checks that the tables still belong to these topics.

use catalog_shared::kafka::KafkaArgs;
use sqlx::PgConnection;

use crate::kafka::source;
use crate::store::binding;

/// Like [`binding::check`], with the ids read from Kafka.
///
/// # Errors
/// Same as [`binding::check`], or if Kafka does not answer.
pub(crate) async fn check_now(connection: &mut PgConnection, kafka: &KafkaArgs) -> anyhow::Result<()> {
    binding::check_prefix(connection, &kafka.topic_prefix).await?;
    binding::check(connection, &source::find(kafka).await?).await
}

/// Like [`binding::recreated`], with the ids read from Kafka.
///
/// # Errors
/// Same as [`binding::recreated`], or if Kafka does not answer.
pub(crate) async fn recreated(
    connection: &mut PgConnection,
    kafka: &KafkaArgs,
) -> anyhow::Result<Vec<String>> {
    binding::recreated(connection, &source::find(kafka).await?).await
}
