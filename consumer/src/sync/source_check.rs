//! Whether the topics are still the ones that the tables belong to.

use catalog_shared::kafka::KafkaArgs;
use sqlx::PgConnection;

use crate::kafka::source;
use crate::store::binding;

/// As [`binding::check`], for a command that asks Kafka only for this.
///
/// # Errors
/// As [`binding::check`], or when Kafka does not answer.
pub(crate) async fn check_now(connection: &mut PgConnection, kafka: &KafkaArgs) -> anyhow::Result<()> {
    binding::check_prefix(connection, &kafka.topic_prefix).await?;
    binding::check(connection, &source::find(kafka).await?).await
}
