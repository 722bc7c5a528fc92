//! Background checks: whether the group still belongs to this copy, and whether the topics are still the ones that the tables
//! belong to. They run in the background because they wait for Kafka.

use std::time::Duration;

use catalog_shared::exit::Stop;
use catalog_shared::kafka::KafkaArgs;
use catalog_shared::outage;
use sqlx::PgPool;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::sleep;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::commands::run::group_ownership::{GroupProbe, GroupState};
use crate::commands::run::monitoring::Monitor;
use crate::config::thresholds::AnswerLimits;
use crate::kafka::kept_client::KeptClient;
use crate::kafka::source;
use crate::store::answer_limit::within;
use crate::store::binding;

/// Interval between two checks of the group.
const CHECK_EVERY: Duration = Duration::from_secs(10);
/// Every how many of them the topics are checked too: once a minute.
const TOPICS_EVERY: usize = 6;

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
    pub(crate) fn start(probe: GroupProbe, pool: PgPool, kafka: &KafkaArgs, monitor: Monitor) -> Self {
        let (sender, events) = unbounded_channel();
        let stop = CancellationToken::new();
        let mut checks = Checks { probe, pool, client: KeptClient::new(kafka), monitor, sender };
        let checks = async move {
            for number in 1_usize.. {
                sleep(CHECK_EVERY).await;
                if let Err(error) = checks.run(number.is_multiple_of(TOPICS_EVERY)).await {
                    // Other code logs outages of Kafka and the database.
                    tracing::debug!(error = format!("{error:#}"), "can't check the group and the topics");
                }
            }
        };
        tokio::spawn(stop.clone().run_until_cancelled_owned(checks));
        Self { events, _stop: stop.drop_guard() }
    }
}

/// The background task.
struct Checks {
    probe: GroupProbe,
    pool: PgPool,
    client: KeptClient,
    monitor: Monitor,
    sender: UnboundedSender<CheckEvent>,
}

impl Checks {
    async fn run(&mut self, with_topics: bool) -> anyhow::Result<()> {
        let seen = self.probe.read().await;
        // A missing right or topic is no outage.
        self.monitor.kafka_asked(!seen.as_ref().is_err_and(outage::is_unreachable));
        // The receiver is dropped if the consumer has just stopped.
        let _ = self.sender.send(CheckEvent::Group(seen?));
        if !with_topics {
            return Ok(());
        }
        let source = source::find_with(&mut self.client).await?;
        let check = async { binding::check(&mut *self.pool.acquire().await?, &source).await };
        let checked = within(AnswerLimits::DEFAULT.rows, check).await;
        match checked.map_err(anyhow::Error::downcast::<Stop>) {
            Ok(()) => Ok(()),
            Err(Ok(stop)) => {
                let _ = self.sender.send(CheckEvent::Refused(stop));
                Ok(())
            }
            Err(Err(error)) => Err(error),
        }
    }
}
