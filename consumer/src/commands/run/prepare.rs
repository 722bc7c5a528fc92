//! What comes before a consumer joins its group: the database, the topics that its tables belong to, and how far they reach.

use std::time::Duration;

use catalog_shared::exit::Stop;
use catalog_shared::kafka::KafkaArgs;
use catalog_shared::outage;
use catalog_shared::rights;
use catalog_shared::shutdown::CancellationToken;
use rdkafka::error::KafkaError;
use sqlx::PgPool;
use tokio::time::sleep;

use crate::apply::failure;
use crate::apply::outage::Outage;
use crate::binding::{self, home::Home};
use crate::cli::RunArgs;
use crate::consume::caught_up::Goal;
use crate::database::{self, in_words};

/// How many connections a run needs besides one for each batch in flight: for the loop itself and for the verdicts,
/// which must not wait for batches.
const BESIDE_BATCHES: u32 = 2;
/// How long to wait before Kafka is asked again.
const PAUSE: Duration = Duration::from_secs(2);

/// What a consumer starts with.
pub(crate) struct Prepared {
    pub(crate) pool: PgPool,
    pub(crate) home: Home,
    /// How far the topics reach, where that is where the run ends.
    pub(crate) goal: Option<Goal>,
}

/// Prepares a run, and waits for the database while it is away; none at a shutdown.
///
/// # Errors
/// [`Stop::Guard`] where the tables belong to other topics; what the database or Kafka said.
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
        let home = Home::read(&mut connection).await?;
        drop(connection);
        Ok((pool, home))
    };
    let Some((pool, home)) = outage.wait_out(shutdown, open).await? else { return Ok(None) };
    if !args.until_caught_up {
        // Before verdicts are read, which are of these topics too.
        let checked =
            shutdown.run_until_cancelled(check_until_answered(&pool, &args.kafka)).await.transpose()?;
        return Ok(checked.map(|()| Prepared { pool, home, goal: None }));
    }
    outage::reach(&args.kafka).await?;
    binding::check_now(&mut *pool.acquire().await?, &args.kafka).await?;
    let goal = Some(Goal::measure(&args.kafka).await?);
    Ok(Some(Prepared { pool, home, goal }))
}

/// Checks what the tables belong to as soon as Kafka answers.
async fn check_until_answered(pool: &PgPool, kafka: &KafkaArgs) -> anyhow::Result<()> {
    let check = || async { binding::check_now(&mut *pool.acquire().await?, kafka).await };
    loop {
        let error = match check().await {
            Err(error) if may_pass(&error) || failure::passes(&error) => error,
            checked => return checked,
        };
        tracing::warn!(error = in_words(&error), "can't check what the tables belong to; trying again");
        sleep(PAUSE).await;
    }
}

/// Whether it is trouble with Kafka that passes by itself.
pub(crate) fn may_pass(error: &anyhow::Error) -> bool {
    let kafka = error.chain().find_map(|cause| cause.downcast_ref::<KafkaError>());
    !error.is::<Stop>() && kafka.is_some_and(|error| !rights::is_missing(error))
}
