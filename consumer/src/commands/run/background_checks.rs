//! Checks in the background, because they wait for Kafka: whether the group is still this copy's, and whether the topics are
//! still the ones that the tables belong to.

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

/// How often to check.
const CHECK_EVERY: Duration = Duration::from_secs(10);

/// What a check has found.
#[derive(Debug)]
pub(crate) enum CheckEvent {
    /// Who is in the group.
    Group(GroupState),
    /// The topics are others than the tables belong to.
    Refused(Stop),
}

/// The background task that looks, and its events. It ends when this is dropped.
pub(crate) struct BackgroundChecks {
    pub(crate) events: UnboundedReceiver<CheckEvent>,
    _stop: DropGuard,
}

impl BackgroundChecks {
    pub(crate) fn start(probe: GroupProbe, pool: PgPool, kafka: KafkaArgs) -> Self {
        let (sender, events) = unbounded_channel();
        let stop = CancellationToken::new();
        let checking = async move {
            loop {
                sleep(CHECK_EVERY).await;
                if let Err(error) = check(&probe, &pool, &kafka, &sender).await {
                    // An outage of Kafka or the database is logged elsewhere.
                    tracing::debug!(error = format!("{error:#}"), "can't check the group and the topics");
                }
            }
        };
        tokio::spawn(stop.clone().run_until_cancelled_owned(checking));
        Self { events, _stop: stop.drop_guard() }
    }
}

async fn check(
    probe: &GroupProbe,
    pool: &PgPool,
    kafka: &KafkaArgs,
    events: &UnboundedSender<CheckEvent>,
) -> anyhow::Result<()> {
    // The receiver is gone if the loop has just ended.
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
