//! Background checks: whether the group still belongs to this copy, and whether the topics are still the ones that the tables
//! belong to. They run in the background because they wait for Kafka.

use std::time::Duration;

use catalog_shared::exit::Stop;
use catalog_shared::kafka::KafkaArgs;
use sqlx::PgPool;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::sleep;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::commands::run::group_ownership::{GroupProbe, GroupState};
use crate::kafka::source;
use crate::store::binding;

/// Interval between two checks.
const CHECK_EVERY: Duration = Duration::from_secs(10);

/// The result of a check.
#[derive(Debug)]
pub(crate) enum CheckEvent {
    /// The members and the owner of the group.
    Group(GroupState),
    /// The tables do not belong to these topics.
    Refused(Stop),
}

/// The background task and its events. Dropping this stops the task.
pub(crate) struct BackgroundChecks {
    pub(crate) events: UnboundedReceiver<CheckEvent>,
    _stop: DropGuard,
}

impl BackgroundChecks {
    pub(crate) fn start(probe: GroupProbe, pool: PgPool, kafka: KafkaArgs) -> Self {
        let (sender, events) = unbounded_channel();
        let stop = CancellationToken::new();
        let checks = async move {
            loop {
                sleep(CHECK_EVERY).await;
                if let Err(error) = check(&probe, &pool, &kafka, &sender).await {
                    // Other code logs outages of Kafka and the database.
                    tracing::debug!(error = format!("{error:#}"), "can't check the group and the topics");
                }
            }
        };
        tokio::spawn(stop.clone().run_until_cancelled_owned(checks));
        Self { events, _stop: stop.drop_guard() }
    }
}

async fn check(
    probe: &GroupProbe,
    pool: &PgPool,
    kafka: &KafkaArgs,
    events: &UnboundedSender<CheckEvent>,
) -> anyhow::Result<()> {
    // The receiver is dropped if the consumer has just stopped.
    let _ = events.send(CheckEvent::Group(probe.read().await?));
    let source = source::find(kafka).await?;
    let checked = binding::check(&mut *pool.acquire().await?, &source).await;
    match checked.map_err(anyhow::Error::downcast::<Stop>) {
        Ok(()) => Ok(()),
        Err(Ok(stop)) => {
            let _ = events.send(CheckEvent::Refused(stop));
            Ok(())
        }
        Err(Err(error)) => Err(error),
    }
}
