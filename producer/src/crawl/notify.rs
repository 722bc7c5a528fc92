//! `--notify-url`: sends a crawl that failed to a webhook.
//!
//! Each failed run is sent once. The cursor records that the receiver has accepted it, so later crawls of the same run don't
//! send it again. A crawl that fails before it has a run can't be recorded. Then only this process remembers it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use catalog_shared::cursor::Cursor;
use catalog_shared::events;
use catalog_shared::exit::Stop;
use catalog_shared::notify::{RUN_FAILED, Webhook};
use catalog_shared::region::Region;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::config::CrawlArgs;

/// The time limit of a notification with all its attempts. The summary waits for it.
const NOTIFICATION_LIMIT: Duration = Duration::from_secs(30);
/// The delay before the second attempt. It doubles with each further one.
const FIRST_DELAY: Duration = Duration::from_secs(1);

/// Notifies the receiver of failed crawls of one region.
pub(super) struct Notifier {
    /// `None` without `--notify-url`, and in a dry run.
    webhook: Option<Webhook>,
    region: Region,
    shutdown: CancellationToken,
    /// The last failure of this process that the receiver has accepted. `None` after a complete run.
    accepted: Mutex<Option<Accepted>>,
    /// Whether an error that would come again at the next start is sent. A supervisor may restart a producer with a schedule
    /// every minute, so not until it has opened a run or waited for a slot.
    sends_lasting: AtomicBool,
}

/// A failure that the receiver has accepted.
#[derive(Clone, Copy)]
struct Accepted {
    /// `None` if the crawl failed before it had a run.
    run: Option<u32>,
    at: OffsetDateTime,
}

impl Notifier {
    /// The notifier of these flags.
    ///
    /// # Errors
    /// [`Stop::Usage`] for an invalid URL or secret.
    pub(super) fn new(args: &CrawlArgs, shutdown: &CancellationToken) -> anyhow::Result<Self> {
        let webhook = args.notify.webhook()?.filter(|_| !args.dry_run);
        let sends_lasting = AtomicBool::new(args.schedule.every.is_none());
        let (region, shutdown) = (args.api.region, shutdown.clone());
        Ok(Self { webhook, region, shutdown, accepted: Mutex::new(None), sends_lasting })
    }

    /// The process has opened a run, or waits for a slot.
    pub(super) fn started(&self) {
        self.sends_lasting.store(true, Ordering::Relaxed);
    }

    /// A run is complete, so the next failure is a new one.
    pub(super) fn crawl_succeeded(&self) {
        *self.accepted() = None;
    }

    /// The region's last run ended at this time, maybe by another process.
    pub(super) fn run_ended(&self, at: OffsetDateTime) {
        self.accepted().take_if(|accepted| accepted.at < at);
    }

    fn accepted(&self) -> MutexGuard<'_, Option<Accepted>> {
        self.accepted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the receiver has accepted this failure before: that of a run, or one that the process had before it had a run.
    fn was_notified(&self, cursor: Option<&Cursor>) -> bool {
        let accepted = *self.accepted();
        match cursor {
            Some(cursor) => cursor.notified || accepted.is_some_and(|last| last.run == Some(cursor.run)),
            None => accepted.is_some(),
        }
    }

    /// Notifies the receiver of a failed crawl, unless that was done before. Errors that need a person are always sent. `cursor` is
    /// that of its run, if it had one, and there is no error after a signal. Returns whether the receiver has accepted the failure,
    /// now or before.
    pub(super) async fn crawl_failed(&self, cursor: Option<&Cursor>, error: Option<&anyhow::Error>) -> bool {
        let (Some(webhook), Some(error)) = (&self.webhook, error) else { return false };
        let was_notified = self.was_notified(cursor);
        let is_sent =
            if Stop::is_cause_of(error) { self.sends_lasting.load(Ordering::Relaxed) } else { !was_notified };
        if !is_sent {
            return was_notified;
        }
        let run = cursor.map(|cursor| cursor.run);
        let is_accepted = self.send(webhook, &body(self.region, run, error)).await;
        if is_accepted {
            *self.accepted() = Some(Accepted { run, at: OffsetDateTime::now_utc() });
        }
        is_accepted || was_notified
    }

    /// Sends a notification. Returns whether the receiver has accepted it before the time limit and a shutdown.
    async fn send(&self, webhook: &Webhook, body: &Value) -> bool {
        let sending = timeout(NOTIFICATION_LIMIT, send(webhook, body));
        let is_accepted = matches!(self.shutdown.run_until_cancelled(sending).await, Some(Ok(())));
        if !is_accepted {
            tracing::warn!(
                event = events::NOTIFICATION_FAILED,
                id = body["id"].as_str(),
                host = webhook.host(),
                "the receiver was not notified; the next failed crawl notifies it"
            );
        }
        is_accepted
    }
}

/// Sends a notification until the receiver accepts it.
async fn send(webhook: &Webhook, body: &Value) {
    let (id, host) = (body["id"].as_str(), webhook.host());
    let (mut attempts, mut delay) = (1_u32, FIRST_DELAY);
    while let Err(error) = webhook.send(body).await {
        let error = format!("{error:#}");
        tracing::warn!(
            event = events::NOTIFICATION_FAILED,
            id,
            host,
            attempts,
            error,
            "can't notify the receiver, retrying"
        );
        sleep(delay).await;
        (attempts, delay) = (attempts + 1, delay * 2);
    }
    tracing::info!(event = events::NOTIFICATION_SENT, id, host, "the receiver was notified");
}

/// What is sent, in the form of the consumer's notifications.
fn body(region: Region, run: Option<u32>, error: &anyhow::Error) -> Value {
    let level = if Stop::is_cause_of(error) { "critical" } else { "warning" };
    let (found, next) = match run {
        Some(run) => (format!("run {run} of {region} failed: {error:#}"), "status"),
        None => (format!("a crawl of {region} failed at its start: {error:#}"), "doctor"),
    };
    let mut body = json!({
        "id": Uuid::new_v4().to_string(),
        "at": OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default(),
        "event": RUN_FAILED,
        "text": format!("{} - {found}", level.to_uppercase()),
        "check": "crawl",
        "level": level,
        "region": region.name(),
        "found": found,
        "next": format!("catalog-producer {next} --region {region}"),
    });
    if let Some(run) = run {
        body["run"] = run.into();
    }
    body
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use anyhow::anyhow;
    use catalog_shared::cursor::RunParameters;
    use time::Duration as Span;

    use super::*;
    use crate::run::lifecycle;

    fn notifier(accepted: Accepted) -> Notifier {
        Notifier {
            webhook: None,
            region: Region::Us,
            shutdown: CancellationToken::new(),
            accepted: Mutex::new(Some(accepted)),
            sends_lasting: AtomicBool::new(true),
        }
    }

    #[test]
    fn only_a_failure_of_the_same_run_was_sent_before() {
        let cursor = |run| lifecycle::new_cursor(Region::Us, RunParameters::full(), run, &BTreeMap::new());
        let at = OffsetDateTime::UNIX_EPOCH;
        let of_run = notifier(Accepted { run: Some(7), at });
        assert!(of_run.was_notified(Some(&cursor(7))) && !of_run.was_notified(Some(&cursor(8))));
        assert!(of_run.was_notified(Some(&Cursor { notified: true, ..cursor(8) })));
        let at_start = notifier(Accepted { run: None, at });
        assert!(at_start.was_notified(None) && !at_start.was_notified(Some(&cursor(8))));
        // The run before it ended earlier, and another process has completed one since.
        at_start.run_ended(at - Span::HOUR);
        assert!(at_start.was_notified(None));
        at_start.run_ended(at + Span::HOUR);
        assert!(!at_start.was_notified(None));
    }

    #[test]
    fn a_failure_has_a_text_for_chats_and_a_next_command() {
        let failed = body(Region::Us, Some(7), &anyhow!("the API is down"));
        assert_eq!(failed["text"], "WARNING - run 7 of us failed: the API is down");
        assert_eq!((&failed["event"], &failed["run"]), (&RUN_FAILED.into(), &7.into()));
        assert_eq!(failed["next"], "catalog-producer status --region us");
        let refused = body(Region::Eu, None, &Stop::Guard("a topic deletes".to_owned()).into());
        assert_eq!(refused["text"], "CRITICAL - a crawl of eu failed at its start: a topic deletes");
        assert_eq!((&refused["level"], refused.get("run")), (&"critical".into(), None));
    }
}
