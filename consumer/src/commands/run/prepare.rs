//! What comes before a consumer joins its group: the database, the topics that its tables belong to, and how far they reach.

use std::time::Duration;

use catalog_shared::kafka::KafkaArgs;
use catalog_shared::outage;
use catalog_shared::shutdown::CancellationToken;
use sqlx::PgPool;
use tokio::time::sleep;

use crate::commands::run::args::RunArgs;
use crate::kafka::end_offsets::EndOffsets;
use crate::kafka::errors;
use crate::model::copy_id::CopyId;
use crate::store::database::{self, format_error};
use crate::store::outage::Outage;
use crate::store::{binding, copy_id, db_error};
use crate::sync::source_check;

/// How many connections a run needs besides one for each batch in flight: for the loop itself and for the verdicts,
/// which must not wait for batches.
const BESIDE_BATCHES: u32 = 2;
/// How long to wait before Kafka is asked again.
const PAUSE: Duration = Duration::from_secs(2);

/// What a consumer starts with.
pub(crate) struct Prepared {
    pub(crate) pool: PgPool,
    pub(crate) copy: CopyId,
    /// How far the topics reach, where that is where the run ends.
    pub(crate) end_offsets: Option<EndOffsets>,
}

/// Prepares a run, and waits for the database while it is away; none at a shutdown.
///
/// # Errors
/// [`catalog_shared::exit::Stop::Guard`] where the tables belong to other topics; what the database or Kafka said.
pub(crate) async fn prepare(
    args: &RunArgs,
    outage: &Outage,
    shutdown: &CancellationToken,
) -> anyhow::Result<Option<Prepared>> {
    let open = || async {
        if args.migrate {
            database::migrate(&args.database).await?;
        }
        let connections = u32::from(args.apply.connections) + BESIDE_BATCHES;
        let pool = database::open_all(&args.database, connections, 0).await?;
        let mut connection = pool.acquire().await?;
        binding::check_prefix(&mut connection, &args.kafka.topic_prefix).await?;
        let copy = copy_id::read(&mut connection).await?;
        drop(connection);
        Ok((pool, copy))
    };
    let Some((pool, copy)) = outage.retry_while_down(shutdown, open).await? else { return Ok(None) };
    if !args.until_caught_up {
        // Before verdicts are read, which are of these topics too.
        let checked =
            shutdown.run_until_cancelled(check_until_answered(&pool, &args.kafka)).await.transpose()?;
        return Ok(checked.map(|()| Prepared { pool, copy, end_offsets: None }));
    }
    outage::reach(&args.kafka).await?;
    source_check::check_now(&mut *pool.acquire().await?, &args.kafka).await?;
    let end_offsets = Some(EndOffsets::measure(&args.kafka).await?);
    Ok(Some(Prepared { pool, copy, end_offsets }))
}

/// Checks what the tables belong to as soon as Kafka answers.
async fn check_until_answered(pool: &PgPool, kafka: &KafkaArgs) -> anyhow::Result<()> {
    let check = || async { source_check::check_now(&mut *pool.acquire().await?, kafka).await };
    loop {
        let error = match check().await {
            Err(error) if errors::is_transient(&error) || db_error::is_transient(&error) => error,
            checked => return checked,
        };
        tracing::warn!(error = format_error(&error), "can't check what the tables belong to; trying again");
        sleep(PAUSE).await;
    }
}
