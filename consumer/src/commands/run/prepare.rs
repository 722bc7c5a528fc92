//! Prepares a run before the consumer joins its group: opens the database, checks that the tables belong to the topics, and
//! reads the end offsets.

use std::time::Duration;

use catalog_shared::events;
use catalog_shared::kafka::KafkaArgs;
use catalog_shared::monitoring;
use catalog_shared::outage;
use catalog_shared::shutdown::CancellationToken;
use sqlx::PgPool;
use tokio::time::sleep;

use crate::commands::run::args::RunArgs;
use crate::config::thresholds::AnswerLimits;
use crate::kafka::end_offsets::EndOffsets;
use crate::kafka::errors;
use crate::model::copy_id::CopyId;
use crate::store::answer_limit::within;
use crate::store::database::{self, format_error};
use crate::store::outage::Outage;
use crate::store::{binding, copy_id, db_error};
use crate::sync::source_check;

/// The number of connections besides one per batch in flight: one for the consumer loop and one for publishing decisions.
/// Neither may wait for batches. Monitoring and notifications have another one each.
const EXTRA_CONNECTIONS: u32 = 2;
/// Delay before the check of the topics is retried.
const BINDING_RETRY_DELAY: Duration = Duration::from_secs(2);

/// The resources of a prepared run.
pub(crate) struct Prepared {
    pub(crate) pool: PgPool,
    pub(crate) copy: CopyId,
    /// The end offsets, if the run ends there.
    pub(crate) end_offsets: Option<EndOffsets>,
}

/// Prepares a run, and retries while the database is unreachable. Returns `None` at a shutdown.
///
/// # Errors
/// [`catalog_shared::exit::Stop::Guard`] if the tables belong to other topics; errors of the database or Kafka.
pub(crate) async fn prepare(
    args: &RunArgs,
    outage: &Outage,
    shutdown: &CancellationToken,
) -> anyhow::Result<Option<Prepared>> {
    let open = || async {
        if args.migrate {
            database::migrate(&args.database).await?;
        }
        within(AnswerLimits::DEFAULT.rows, open_pool(args)).await
    };
    let Some((pool, copy)) = outage.retry_while_down(shutdown, open).await? else { return Ok(None) };
    if !args.until_caught_up {
        // This comes before decisions are read, because they are read from these topics too.
        let checked =
            shutdown.run_until_cancelled(check_with_retries(&pool, &args.kafka)).await.transpose()?;
        return Ok(checked.map(|()| Prepared { pool, copy, end_offsets: None }));
    }
    outage::reach(&args.kafka).await?;
    source_check::check_now(&mut *pool.acquire().await?, &args.kafka).await?;
    let end_offsets = Some(EndOffsets::measure(&args.kafka).await?);
    Ok(Some(Prepared { pool, copy, end_offsets }))
}

/// Opens the pool, and identifies the tables.
async fn open_pool(args: &RunArgs) -> anyhow::Result<(PgPool, CopyId)> {
    let pool = database::open_all(&args.database, connections(args), 0).await?;
    let mut connection = pool.acquire().await?;
    binding::check_prefix(&mut connection, &args.kafka.topic_prefix).await?;
    let copy = copy_id::read(&mut connection).await?;
    drop(connection);
    Ok((pool, copy))
}

/// The number of connections that a run may use.
fn connections(args: &RunArgs) -> u32 {
    let figures = u32::from(monitoring::is_on(&args.monitoring));
    u32::from(args.apply.connections) + EXTRA_CONNECTIONS + figures + u32::from(args.notify.is_on())
}

/// Checks that the tables belong to the topics, and retries while Kafka or the database is unreachable. A broker that refuses
/// this client is an error.
async fn check_with_retries(pool: &PgPool, kafka: &KafkaArgs) -> anyhow::Result<()> {
    outage::wait_for_kafka(kafka).await?;
    let check = || async { source_check::check_now(&mut *pool.acquire().await?, kafka).await };
    loop {
        let error = match within(AnswerLimits::DEFAULT.rows, check()).await {
            Err(error) if errors::is_retried(&error) || db_error::is_transient(&error) => error,
            checked => return checked,
        };
        tracing::warn!(
            event = events::BINDING_CHECK_FAILED,
            error = format_error(&error),
            "can't check which topics the tables belong to, retrying"
        );
        sleep(BINDING_RETRY_DELAY).await;
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        run: RunArgs,
    }

    fn connections_of(flags: &[&str]) -> u32 {
        connections(&Line::parse_from([&["run"], flags].concat()).run)
    }

    #[test]
    fn only_a_url_reserves_a_connection_for_notifications() {
        let without = connections_of(&["--notify-url", ""]);
        assert_eq!(without, connections_of(&[]));
        assert_eq!(without + 1, connections_of(&["--notify-url", "https://hooks.example/"]));
    }
}
