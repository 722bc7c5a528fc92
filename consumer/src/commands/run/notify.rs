//! `--notify-url`: sends failed runs, runs on hold, and missing or late crawls to a webhook.
//!
//! The findings are those of `check`, so both use the same words and limits. Each becomes one row of the outbox, whose key is
//! the finding's event, region and run, so restarts and other consumers don't repeat it. A row is sent until the receiver
//! accepts it. If the process dies between these two, it is sent again with the same id.

use std::time::{Duration, Instant};

use catalog_shared::events;
use catalog_shared::kafka::KafkaArgs;
use catalog_shared::notify::{NotifyArgs, RUN_FAILED, Webhook};
use serde_json::{Value, json};
use sqlx::PgPool;
use time::format_description::well_known::Rfc3339;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::commands::check::{self, Finding, LimitArgs};
use crate::kafka::end_offsets::EndOffsets;
use crate::model::positions::Positions;
use crate::model::topic::TopicKind;
use crate::store::notifications::{self, NewNotification, Notification};
use crate::store::{database, db_error, positions};

/// How often due notifications are sent.
const SEND_EVERY: Duration = Duration::from_secs(5);
/// How often the ledger is read.
const READ_EVERY: Duration = Duration::from_secs(60);
/// The time limit of reading the end offsets. Notifications wait meanwhile.
const ENDS_LIMIT: Duration = Duration::from_secs(10);
/// The time limit of all notifications at the end of `--until-caught-up`. The next start sends the others.
const LAST_LIMIT: Duration = Duration::from_secs(30);
/// The time limit of one round, so that a lock on the table is noticed. Longer than a request to the webhook.
const ROUND_LIMIT: Duration = Duration::from_secs(60);

/// Sends the notifications of one installation.
pub(super) struct Notifier {
    webhook: Webhook,
    limits: LimitArgs,
    kafka: KafkaArgs,
}

/// How far the tables and the topics were when the ledger was last read.
#[derive(Default)]
struct LastRead {
    /// The number of records that were ever applied.
    applied: Option<i64>,
    /// The end offsets. While Kafka does not answer, the last ones stay.
    ends: Option<EndOffsets>,
}

impl LastRead {
    /// Whether the tables contain what the topics contained then. A partition that can't go on never gets there, so it also
    /// counts if nothing was applied since then.
    fn is_caught_up(&self, applied: i64, positions: &Positions) -> bool {
        self.applied == Some(applied)
            || self.ends.as_ref().is_some_and(|ends| ends.behind(positions).next().is_none())
    }
}

impl Notifier {
    /// The notifier of these flags; `None` without `--notify-url`.
    ///
    /// # Errors
    /// [`catalog_shared::exit::Stop::Usage`] for an invalid URL, secret or limit (`CATALOG_CHECK_…`).
    pub(super) fn new(args: &NotifyArgs, kafka: &KafkaArgs) -> anyhow::Result<Option<Self>> {
        let Some(webhook) = args.webhook()? else { return Ok(None) };
        Ok(Some(Self { webhook, limits: LimitArgs::from_environment()?, kafka: kafka.clone() }))
    }

    /// Notifies until the guard is dropped.
    pub(super) fn start(self, pool: PgPool) -> DropGuard {
        let stop = CancellationToken::new();
        tokio::spawn(stop.clone().run_until_cancelled_owned(async move { self.follow(&pool).await }));
        stop.drop_guard()
    }

    /// Notifies once of what is found now. A process that is about to end calls it.
    pub(super) async fn notify_once(&self, pool: &PgPool) {
        let notify = async {
            self.enqueue(pool, true).await?;
            self.send_due(pool).await
        };
        within(LAST_LIMIT, notify).await;
    }

    async fn follow(&self, pool: &PgPool) {
        let mut tick = interval(SEND_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut read_at, mut last) = (None::<Instant>, LastRead::default());
        loop {
            tick.tick().await;
            let is_read_due = read_at.is_none_or(|at| at.elapsed() >= READ_EVERY);
            let round = async {
                if is_read_due {
                    read_at = Some(Instant::now());
                    self.read(pool, &mut last).await?;
                }
                self.send_due(pool).await
            };
            within(ROUND_LIMIT, round).await;
            if is_read_due {
                self.read_ends(&mut last).await;
            }
        }
    }

    /// Reads the ledger, and stores the notifications of what is found.
    async fn read(&self, pool: &PgPool, last: &mut LastRead) -> sqlx::Result<()> {
        let topics = TopicKind::ALL.map(|kind| kind.topic(&self.kafka.topics()));
        let applied = notifications::applied_records(pool).await?;
        let is_caught_up = last.is_caught_up(applied, &positions::read(pool, &topics).await?);
        last.applied = Some(applied);
        self.enqueue(pool, is_caught_up).await
    }

    /// Reads the end offsets, which the positions are compared with at the next reading of the ledger.
    async fn read_ends(&self, last: &mut LastRead) {
        match timeout(ENDS_LIMIT, EndOffsets::measure(&self.kafka)).await {
            Ok(Ok(ends)) => last.ends = Some(ends),
            Ok(Err(error)) => tracing::debug!(error = format!("{error:#}"), "can't read the end offsets"),
            Err(_) => tracing::debug!("the end offsets were not read in time"),
        }
    }

    /// Stores a notification of each finding that has none yet. While consumers catch up, the ledger does not know yet that a
    /// run has ended, so only runs on hold count then.
    async fn enqueue(&self, pool: &PgPool, is_caught_up: bool) -> sqlx::Result<()> {
        for finding in check::of_runs(pool, &self.limits).await? {
            if let Some(new) = notification(&finding)
                && (is_caught_up || new.event == RUN_HELD)
            {
                notifications::enqueue(pool, &new).await?;
            }
        }
        Ok(())
    }

    /// Sends the notifications that are due, until one fails.
    async fn send_due(&self, pool: &PgPool) -> sqlx::Result<()> {
        while let Some(due) = notifications::take_due(pool).await? {
            let (id, host) = (due.id.as_str(), self.webhook.host());
            if let Err(error) = self.webhook.send(&body(&due)).await {
                let error = format!("{error:#}");
                tracing::warn!(
                    event = events::NOTIFICATION_FAILED,
                    id,
                    host,
                    attempts = due.attempts,
                    error,
                    "can't notify the receiver, retrying"
                );
                break;
            }
            notifications::mark_sent(pool, id).await?;
            tracing::info!(event = events::NOTIFICATION_SENT, id, host, "the receiver was notified");
        }
        Ok(())
    }
}

/// Does the work within a time limit, and logs why it failed. Other code logs outages of the database.
async fn within(limit: Duration, work: impl Future<Output = sqlx::Result<()>>) {
    let error = match timeout(limit, work).await {
        Ok(Ok(())) => return,
        Ok(Err(error)) => anyhow::Error::from(error),
        Err(_) => anyhow::anyhow!("not done within {} s", limit.as_secs()),
    };
    let error_text = database::format_error(&error);
    if db_error::is_transient(&error) {
        tracing::debug!(error = error_text, "can't read or write the notifications");
    } else {
        tracing::warn!(
            event = events::NOTIFICATION_FAILED,
            error = error_text,
            "can't read or write the notifications, retrying"
        );
    }
}

const RUN_HELD: &str = "run_held";

/// The notification of a finding; `None` if all is well, or if nothing has been accepted yet, as in a new installation.
fn notification(finding: &Finding) -> Option<NewNotification> {
    let event = match finding.check {
        "held_runs" => RUN_HELD,
        "open_runs" => RUN_FAILED,
        "full_crawl" | "domain_crawl" => "crawl_missed",
        // Both may be about one run, and each must be sent.
        "last_crawl" => "crawl_late",
        _ => return None,
    };
    let (region, run) = (finding.region.clone()?, finding.run?);
    let mut payload = serde_json::to_value(finding).ok()?;
    payload["event"] = event.into();
    payload["text"] = format!("{} - {}", finding.level.name(), finding.found).into();
    finding.is_problem().then_some(NewNotification { event, region, run, payload })
}

/// What is sent.
fn body(Notification { id, payload, created_at, .. }: &Notification) -> Value {
    let mut body = payload.0.clone();
    body["id"] = json!(id);
    body["at"] = json!(created_at.format(&Rfc3339).unwrap_or_default());
    body
}

#[cfg(test)]
mod tests {
    use catalog_shared::record::RecordType;

    use super::*;
    use crate::commands::check::tests::{fresh, held, late, missed, never_accepted};
    use crate::model::topic::TopicPartition;
    use crate::model::watermarks::Watermarks;

    #[test]
    fn a_slow_crawl_that_goes_on_does_not_silence_notifications() {
        let kind = TopicKind::Data(RecordType::Hosts);
        let hosts = TopicPartition { kind, topic: "hosts".into(), partition: 0 };
        let ends = Some(EndOffsets::new(vec![(hosts, Watermarks { low: 0, high: 20 })]));
        let at = |position| Positions::from_iter([(("hosts".to_owned(), 0), position)]);
        let last = LastRead { applied: Some(7), ends };
        // One record was applied since then.
        assert!(last.is_caught_up(8, &at(20)));
        assert!(last.is_caught_up(8, &at(21)));
        assert!(!last.is_caught_up(8, &at(19)));
        // A partition is stuck.
        assert!(last.is_caught_up(7, &at(19)));
        assert!(!LastRead::default().is_caught_up(7, &at(20)));
        assert!(!LastRead { applied: Some(7), ends: None }.is_caught_up(8, &at(20)));
    }

    #[test]
    fn a_finding_becomes_a_notification_with_a_text_for_chats() {
        let new = notification(&held(6)).unwrap();
        assert_eq!((new.event, new.region.as_str(), new.run), ("run_held", "us", 6));
        let text = new.payload["text"].as_str().unwrap();
        assert!(text.starts_with("WARNING - run 6 of us has been on hold for "), "{text}");
        assert_eq!(new.payload["next"], "catalog-consumer runs show 6 --region us");
        assert_eq!(notification(&missed(3)).map(|new| (new.event, new.run)), Some(("crawl_missed", 3)));
    }

    #[test]
    fn a_late_crawl_and_a_missed_full_crawl_are_two_notifications_about_one_run() {
        let keys = [late(5), missed(5)].map(|finding| notification(&finding).map(|new| (new.event, new.run)));
        assert_eq!(keys, [Some(("crawl_late", 5)), Some(("crawl_missed", 5))]);
    }

    #[test]
    fn nothing_is_sent_if_all_is_well_or_before_the_first_accepted_crawl() {
        assert!(notification(&fresh()).is_none());
        assert!(notification(&never_accepted()).is_none());
    }
}
