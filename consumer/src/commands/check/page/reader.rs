//! Reads the tables and Kafka when the page is requested. Between requests it only sleeps.

use std::sync::Arc;
use std::time::{Duration, Instant};

use catalog_shared::kafka::KafkaArgs;
use catalog_shared::time_limit::within;
use sqlx::PgPool;
use time::OffsetDateTime;
use tokio::sync::{Mutex, Notify, Semaphore, watch};
use tokio::time::timeout;

use super::ledger::Ledger;
use super::reading::{Known, Moment, Reading};
use crate::commands::check::lag::{self, Lag};
use crate::model::positions::Positions;
use crate::store::database;

/// Readings are used for this long, so many viewers cost as much as one.
const RECENT: Duration = Duration::from_secs(5);
/// How long a viewer waits for readings. The page then shows what there is.
const WAIT: Duration = Duration::from_secs(4);
/// The number of viewers that may wait at once. Others don't wait, so there are always connections for `/healthz`.
const WAITING: usize = 4;
/// How long the database may take for all that is read, and for each statement. A viewer sees what came too late at the next
/// look.
const DATABASE_TIMEOUT: Duration = Duration::from_secs(4);
/// The same for Kafka.
const KAFKA_TIMEOUT: Duration = Duration::from_secs(20);

/// Where to read.
pub(crate) struct Connections {
    pub(crate) pool: PgPool,
    pub(crate) kafka: KafkaArgs,
    /// Monitoring has one connection of the pool, so its tasks take turns.
    pub(crate) reading: Arc<Mutex<()>>,
}

/// What was read.
#[derive(Clone, Default)]
pub(super) struct Readings {
    ledger: Reading<Ledger>,
    lag: Reading<Lag>,
    /// When the last round ended.
    ended: Option<Instant>,
    /// Whether there is a task that reads. The first one starts once the database is open.
    has_reader: bool,
}

impl Readings {
    pub(super) fn ledger(&self, now: &Moment, started_at: OffsetDateTime) -> Known<Ledger> {
        self.ledger.known(now, started_at, self.missing())
    }

    pub(super) fn lag(&self, now: &Moment, started_at: OffsetDateTime) -> Known<Lag> {
        self.lag.known(now, started_at, self.missing())
    }

    const fn missing(&self) -> &'static str {
        if self.has_reader { "not read in time" } else { "not read yet, because the consumer is starting" }
    }

    fn are_recent(&self) -> bool {
        self.ended.is_some_and(|ended| ended.elapsed() < RECENT)
    }
}

/// Hands readings from the task that reads to the viewers.
pub(super) struct ReadingCache {
    asked: Notify,
    readings: watch::Sender<Readings>,
    waiting: Semaphore,
    /// A request to Kafka can't be cancelled, so there is at most one.
    kafka: Arc<Semaphore>,
}

impl Default for ReadingCache {
    fn default() -> Self {
        Self {
            asked: Notify::new(),
            readings: watch::Sender::default(),
            waiting: Semaphore::new(WAITING),
            kafka: Arc::new(Semaphore::new(1)),
        }
    }
}

impl ReadingCache {
    /// Recent readings, or what there is after [`WAIT`].
    pub(super) async fn recent(&self) -> Readings {
        let mut updates = self.readings.subscribe();
        let may_come = self.readings.borrow().has_reader;
        if may_come && let Ok(_permit) = self.waiting.try_acquire() {
            self.asked.notify_one();
            let recent = updates.wait_for(Readings::are_recent);
            let _ = timeout(WAIT, recent).await;
        }
        self.readings.borrow().clone()
    }

    /// Reads whenever a viewer asks. Never ends.
    pub(super) async fn follow(&self, source: &Connections) {
        self.readings.send_modify(|readings| readings.has_reader = true);
        loop {
            self.asked.notified().await;
            if !self.readings.borrow().are_recent() {
                self.read(source).await;
            }
        }
    }

    async fn read(&self, source: &Connections) {
        let ledger = source.ledger().await;
        let positions = match &ledger {
            Ok(ledger) => ledger.positions(),
            Err(_) => Err("the positions in the tables are unknown".to_owned()),
        };
        self.readings.send_modify(|readings| readings.ledger.record(ledger, Moment::now()));
        let lag = match positions {
            Ok(positions) => self.lag(&source.kafka, positions).await,
            Err(why) => Err(why),
        };
        self.readings.send_modify(|readings| {
            readings.lag.record(lag, Moment::now());
            readings.ended = Some(Instant::now());
        });
    }

    async fn lag(&self, kafka: &KafkaArgs, positions: Positions) -> Result<Lag, String> {
        let Ok(permit) = Arc::clone(&self.kafka).try_acquire_owned() else {
            return Err("Kafka has not answered the last request".to_owned());
        };
        let kafka = kafka.clone();
        let measure = within(KAFKA_TIMEOUT, move || async move {
            let lag = lag::measure(kafka, positions, KAFKA_TIMEOUT / 2).await;
            drop(permit);
            lag
        });
        measure.await.map_err(|error| format!("{error:#}"))
    }
}

impl Connections {
    async fn ledger(&self) -> Result<Ledger, String> {
        let read = async {
            let _reading = self.reading.lock().await;
            Ledger::read(&self.pool, &self.kafka, DATABASE_TIMEOUT).await
        };
        match timeout(DATABASE_TIMEOUT, read).await {
            Ok(read) => read.map_err(|error| database::format_error(&error)),
            Err(_) => Err(format!("no answer within {} s", DATABASE_TIMEOUT.as_secs())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_viewer_waits_only_for_a_task_that_reads_and_not_long() {
        let (reader, start) = (ReadingCache::default(), tokio::time::Instant::now());
        // The consumer is starting.
        let readings = reader.recent().await;
        let gap = readings.ledger(&Moment::now(), OffsetDateTime::UNIX_EPOCH).gap;
        assert!(gap.is_some_and(|gap| gap.why.ends_with("the consumer is starting")));
        assert_eq!(start.elapsed(), Duration::ZERO);
        // The database does not answer.
        reader.readings.send_modify(|readings| readings.has_reader = true);
        let viewers = futures::future::join_all((0..WAITING + 3).map(|_| async {
            reader.recent().await;
            start.elapsed() >= WAIT
        }));
        assert_eq!(viewers.await.iter().filter(|has_waited| **has_waited).count(), WAITING);
        assert!(start.elapsed() < 2 * WAIT);
    }

    #[tokio::test(start_paused = true)]
    async fn a_viewer_gets_the_readings_that_it_has_asked_for() {
        let (reader, start) = (ReadingCache::default(), tokio::time::Instant::now());
        reader.readings.send_modify(|readings| readings.has_reader = true);
        let read = async {
            reader.asked.notified().await;
            reader.readings.send_modify(|readings| {
                readings.lag.record(Ok(Lag { records: 7, ..Lag::default() }), Moment::now());
                readings.ended = Some(Instant::now());
            });
        };
        let (readings, ()) = tokio::join!(reader.recent(), read);
        let known = readings.lag(&Moment::now(), OffsetDateTime::UNIX_EPOCH);
        assert_eq!(known.last.map(|(_, lag)| lag.records), Some(7));
        assert_eq!((known.gap, start.elapsed()), (None, Duration::ZERO));
    }
}
