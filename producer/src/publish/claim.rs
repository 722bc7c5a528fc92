//! The claim of a region, and every later write under it. One producer at a time owns a region, and the newest one wins.
//!
//! [`Claim::commit`] is what [`Sink`](crate::publish::sink::Sink) calls for each step of a run. It publishes by
//! [`Transactions::publish`]. It tries a transaction up to [`MAX_ATTEMPTS`] times. After a fatal error it reads the cursor to
//! find out whether the transaction was committed.
//!
//! Opening a transactional producer fences the previous one, but a producer can't distinguish fencing from a
//! transaction timeout. So it waits, reads the cursor without opening anything, and continues only if no other
//! producer has written it. It compares the whole cursor and not just the owner, because a producer that was suspended
//! between opening and claiming would otherwise continue from an old cursor.

use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use catalog_shared::cursor::Cursor;
use catalog_shared::cursor_reader;
use catalog_shared::events;
use catalog_shared::exit::Stop;
use catalog_shared::kafka::KafkaArgs;
use catalog_shared::monitoring::names;
use catalog_shared::outage::retry_while_down;
use catalog_shared::region::Region;
use catalog_shared::rights;
use catalog_shared::topics::Topics;
use metrics::{counter, histogram};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::model::outgoing::Outgoing;
use crate::publish::cursor_record;
use crate::publish::failure::TransactionError;
use crate::publish::in_doubt;
use crate::publish::transaction::Transactions;

/// How long a fenced producer waits for the claim of a newer one before it reads the cursor. A claim that is not seen costs only
/// another takeover, so 2 s are enough: a newer producer usually commits its claim in less.
const FENCED_WAIT: Duration = Duration::from_secs(2);
/// The maximum number of attempts at a transaction. An unreachable broker resets the count. What passes, such as a coordinator
/// that moves, has passed by the fifth; what is left needs a person.
const MAX_ATTEMPTS: u32 = 5;
const RETRY_DELAY: Duration = Duration::from_secs(1);
/// How often a cursor that is older than the last committed one is read again, with [`RETRY_DELAY`] between. That is twice as long
/// as [`in_doubt`] waits for the end of a transaction.
const MAX_STALE_READS: u32 = 10;

/// The exclusive right to write a region's cursor.
pub(crate) struct Claim {
    kafka: KafkaArgs,
    topics: Topics,
    region: Region,
    /// The cursor as last read or written by this producer. A write by another producer changes it.
    last: Option<Cursor>,
    transactions: Transactions,
}

/// The cursors of a region after fencing all other producers.
pub(crate) struct Found {
    /// The last committed one.
    pub(crate) last: Option<Cursor>,
    /// A later one whose transaction is in doubt.
    pub(crate) in_doubt: Option<Cursor>,
}

/// The outcome of a commit that ended with a fatal error, according to the cursor.
enum Outcome {
    NotCommitted,
    Committed,
    /// Another producer has written the cursor since.
    Fenced {
        instance_id: String,
    },
}

/// The number of failed attempts at a transaction. An outage resets it.
#[derive(Default)]
struct Attempts(u32);

impl Attempts {
    fn may_retry(&mut self, error: &TransactionError) -> bool {
        match error {
            TransactionError::Refused(_) => return false,
            TransactionError::Unreachable(_) | TransactionError::FewReplicas(_) => self.0 = 0,
            TransactionError::Fatal(_) | TransactionError::Aborted(_) | TransactionError::Slow(_) => {
                self.0 += 1
            }
        }
        self.0 < MAX_ATTEMPTS
    }
}

impl Claim {
    /// Fences every other producer of the region, then reads its cursors. [`Claim::establish`] completes the claim.
    pub(crate) async fn open(kafka: &KafkaArgs, region: Region) -> anyhow::Result<(Self, Found)> {
        let topics = kafka.topics();
        let transactions = open_transactions(kafka, &topics, region).await?;
        let in_doubt = in_doubt::read(kafka, &topics, region).await?;
        let last = cursor_reader::read(kafka, &topics, region).await?;
        tracing::debug!(event = events::REGION_OPENED, %region, run = last.as_ref().map(|cursor| cursor.run), "region opened");
        let kafka = kafka.clone();
        let claim = Self { kafka, topics, region, last: last.clone(), transactions };
        Ok((claim, Found { last, in_doubt }))
    }

    /// Commits the cursor that claims the region. Returns whether the claim succeeded. If not, another producer has
    /// written the cursor in the meantime, and the run must be planned again.
    pub(crate) async fn establish(&mut self, cursor: &Cursor) -> anyhow::Result<bool> {
        Ok(self.publish(Vec::new(), cursor).await?.is_none())
    }

    /// Publishes records together with the next cursor, exactly once.
    ///
    /// # Errors
    /// [`Stop::Guard`] if another producer has taken over the region; otherwise the error of Kafka.
    pub(crate) async fn commit(&mut self, records: Vec<Outgoing>, next: &Cursor) -> anyhow::Result<()> {
        let Some(instance_id) = self.publish(records, next).await? else { return Ok(()) };
        bail!(Stop::Guard(format!(
            "fenced: another producer of region {} has taken over (owner {instance_id}); this one has published nothing since",
            self.region
        )))
    }

    /// Publishes. Returns the instance id of the new owner if another producer has taken over the region.
    async fn publish(&mut self, mut records: Vec<Outgoing>, next: &Cursor) -> anyhow::Result<Option<String>> {
        records.push(cursor_record::record(&self.topics, next)?);
        let mut attempts = Attempts::default();
        loop {
            if self.transactions.may_end_late() {
                tracing::info!(
                    event = events::INSTANCE_REPLACED,
                    "a transaction ended late, opening a new producer instance"
                );
                if let Outcome::Fenced { instance_id } = self.recover(next).await? {
                    return Ok(Some(instance_id));
                }
            }
            let Err(error) = self.attempt(&records).await else { break };
            if !attempts.may_retry(&error) {
                let error = anyhow::Error::from(error).context("can't publish to Kafka");
                return Err(rights::name_write(error));
            }
            tracing::warn!(event = events::PUBLISH_RETRIED, %error, attempts = attempts.0, "publishing failed, retrying");
            if let TransactionError::Fatal(_) = error {
                match self.recover(next).await? {
                    Outcome::NotCommitted => {}
                    Outcome::Committed => break,
                    Outcome::Fenced { instance_id } => return Ok(Some(instance_id)),
                }
            } else {
                sleep(RETRY_DELAY).await;
            }
        }
        self.last = Some(next.clone());
        Ok(None)
    }

    /// Tries one transaction, and measures it.
    async fn attempt(&self, records: &[Outgoing]) -> Result<(), TransactionError> {
        let (start, region) = (Instant::now(), self.region.name());
        let published = self.transactions.publish(records).await;
        if published.is_ok() {
            histogram!(names::PRODUCER_TRANSACTION, "region" => region).record(start.elapsed());
        }
        let outcome = if published.is_ok() { "committed" } else { "failed" };
        counter!(names::PRODUCER_TRANSACTIONS, "region" => region, "outcome" => outcome).increment(1);
        published
    }

    /// Opens a new instance after a fatal error or a late end, if no other producer has written the cursor. That is
    /// checked before, so that a newer producer is not fenced, and after, when no other producer can write any more.
    async fn recover(&mut self, next: &Cursor) -> anyhow::Result<Outcome> {
        sleep(FENCED_WAIT).await;
        if let Some(fenced @ Outcome::Fenced { .. }) = self.read_outcome(next).await? {
            return Ok(fenced);
        }
        let open = async || open_transactions(&self.kafka, &self.topics, self.region).await;
        let new = retry_while_down(&self.kafka, open).await?;
        let old = std::mem::replace(&mut self.transactions, new);
        spawn_blocking(move || drop(old)).await?;
        let in_doubt = async || in_doubt::read(&self.kafka, &self.topics, self.region).await;
        let in_doubt = retry_while_down(&self.kafka, in_doubt).await?;
        let outcome = self.read_outcome(next).await?;
        ensure!(
            in_doubt.is_none() || matches!(outcome, Some(Outcome::Fenced { .. })),
            "the last page is in doubt, because Kafka lost the end of its transaction; the next start discards run {}",
            next.run
        );
        outcome.with_context(|| {
            format!(
                "Kafka has lost the last committed cursor of run {}; start again with --restart",
                next.run
            )
        })
    }

    /// The outcome according to the committed cursor. `None` if that stays older than the last one committed by this producer.
    async fn read_outcome(&self, next: &Cursor) -> anyhow::Result<Option<Outcome>> {
        let read = async || cursor_reader::read(&self.kafka, &self.topics, self.region).await;
        for _ in 0..MAX_STALE_READS {
            let found = retry_while_down(&self.kafka, read).await?;
            if found == self.last {
                return Ok(Some(Outcome::NotCommitted));
            }
            match found {
                Some(found) if found == *next => return Ok(Some(Outcome::Committed)),
                // An older one of this producer: the last one is committed, and consumers do not see it yet.
                Some(found) if found.instance_id == next.instance_id => sleep(RETRY_DELAY).await,
                found => {
                    let instance_id = found.map_or("unknown".to_owned(), |found| found.instance_id);
                    return Ok(Some(Outcome::Fenced { instance_id }));
                }
            }
        }
        let run = next.run;
        tracing::warn!(event = events::COMMIT_INVISIBLE, run, "the last committed cursor can't be read");
        Ok(None)
    }
}

async fn open_transactions(
    kafka: &KafkaArgs,
    topics: &Topics,
    region: Region,
) -> anyhow::Result<Transactions> {
    let id = topics.transactional_id(region);
    Transactions::open(kafka, &id).await.with_context(|| format!("can't open transactions as {id}"))
}

#[cfg(test)]
mod tests;
