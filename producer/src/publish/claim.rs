//! A region belongs to one producer at a time, and the newest one wins.
//!
//! Opening a transactional producer fences the one before, but a producer can't tell a fence from a
//! transaction that timed out. So it waits, reads the cursor without opening anything, and only carries
//! on if nobody else has written it. The whole cursor is compared and not just its owner: a producer that
//! was stopped between its opening and its claim would else go on from a cursor that is old.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use catalog_shared::cursor::Cursor;
use catalog_shared::exit::Stop;
use catalog_shared::kafka::KafkaArgs;
use catalog_shared::outage::outlast;
use catalog_shared::region::Region;
use catalog_shared::topics::Topics;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::model::outgoing::Outgoing;
use crate::publish::cursor_record;
use crate::publish::failure::TransactionError;
use crate::publish::transaction::Transactions;
use crate::publish::undecided;
use catalog_shared::cursors;

/// How long a newer producer gets to write its claim before the fenced one looks for it.
const GRACE: Duration = Duration::from_secs(2);
/// How often a transaction is tried, and how long is waited before it is tried again.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_secs(1);

/// The right to write a region's cursor.
pub(crate) struct Claim {
    kafka: KafkaArgs,
    topics: Topics,
    region: Region,
    /// The cursor as it was last read or written here. Whoever else writes it makes another.
    last: Option<Cursor>,
    transactions: Transactions,
}

/// The cursors of a region that nobody else can write to any more.
pub(crate) struct Found {
    /// The last one that was committed.
    pub(crate) last: Option<Cursor>,
    /// One behind it of which nobody can tell whether it counts.
    pub(crate) undecided: Option<Cursor>,
}

/// What the cursor tells after a fatal error.
enum Standing {
    /// It is as it was: the transaction in hand was not committed.
    Before,
    /// It is the one in hand: the transaction was committed after all.
    After,
    /// Another producer has written it since.
    Moved(String),
}

/// How often a transaction was tried, but for tries that a broker was away for: that is waited for.
#[derive(Default)]
struct Tries(u32);

impl Tries {
    fn allow_another_after(&mut self, error: &TransactionError) -> bool {
        match error {
            TransactionError::Refused(_) => return false,
            // What follows an outage is no longer what came before it.
            TransactionError::Away(_) => self.0 = 0,
            TransactionError::Fatal(_) | TransactionError::Aborted(_) | TransactionError::Slow(_) => {
                self.0 += 1
            }
        }
        self.0 < TRIES
    }
}

impl Claim {
    /// Fences every other producer of the region, then reads its cursors. The claim is made by
    /// [`Claim::establish`].
    pub(crate) async fn open(kafka: &KafkaArgs, region: Region) -> anyhow::Result<(Self, Found)> {
        let topics = kafka.topics();
        let transactions = open_transactions(kafka, &topics, region).await?;
        let undecided = undecided::read(kafka, &topics, region).await?;
        let last = cursors::read(kafka, &topics, region).await?;
        tracing::debug!(%region, run = last.as_ref().map(|cursor| cursor.run), "region opened");
        let kafka = kafka.clone();
        let claim = Self { kafka, topics, region, last: last.clone(), transactions };
        Ok((claim, Found { last, undecided }))
    }

    /// Commits the cursor that claims the region. Tells whether it is ours now: if another producer has
    /// gone on meanwhile, the cursor that was read is old, and all has to be planned anew.
    pub(crate) async fn establish(&mut self, claim: &Cursor) -> anyhow::Result<bool> {
        Ok(self.publish(Vec::new(), claim).await?.is_none())
    }

    /// Publishes records together with the cursor that speaks of them, exactly once.
    ///
    /// # Errors
    /// [`Stop::Guard`] when another producer has taken the region over; else what Kafka said.
    pub(crate) async fn commit(&mut self, records: Vec<Outgoing>, next: &Cursor) -> anyhow::Result<()> {
        let Some(owner) = self.publish(records, next).await? else { return Ok(()) };
        bail!(Stop::Guard(format!(
            "another producer of region {} has taken over (owner {owner}); this one has published nothing since",
            self.region
        )))
    }

    /// Publishes; tells the owner when the region is another's by now.
    async fn publish(&mut self, mut records: Vec<Outgoing>, next: &Cursor) -> anyhow::Result<Option<String>> {
        records.push(cursor_record::record(&self.topics, next)?);
        let mut tries = Tries::default();
        loop {
            if self.transactions.may_end_late() {
                tracing::info!("an end of a transaction was answered late: opening a new producer instance");
                if let Standing::Moved(owner) = self.recover(next).await? {
                    return Ok(Some(owner));
                }
            }
            let error = match self.transactions.publish(&records).await {
                Ok(()) => break,
                Err(error) => error,
            };
            if !tries.allow_another_after(&error) {
                return Err(error).context("can't publish to Kafka");
            }
            tracing::warn!(%error, tries = tries.0, "publishing again");
            if let TransactionError::Fatal(_) = error {
                match self.recover(next).await? {
                    Standing::Before => {}
                    Standing::After => break,
                    Standing::Moved(owner) => return Ok(Some(owner)),
                }
            } else {
                sleep(PAUSE).await;
            }
        }
        self.last = Some(next.clone());
        Ok(None)
    }

    /// Carries on with a new instance after a fatal error or a late end, if nobody else has written the
    /// cursor: looked at before, so that a newer producer is not fenced, and after, when nobody else can
    /// any more.
    async fn recover(&mut self, next: &Cursor) -> anyhow::Result<Standing> {
        sleep(GRACE).await;
        if let moved @ Standing::Moved(_) = self.look(next).await? {
            return Ok(moved);
        }
        let open = async || open_transactions(&self.kafka, &self.topics, self.region).await;
        let fresh = outlast(&self.kafka, open).await?;
        let stale = std::mem::replace(&mut self.transactions, fresh);
        spawn_blocking(move || drop(stale)).await?;
        let undecided = async || undecided::read(&self.kafka, &self.topics, self.region).await;
        let undecided = outlast(&self.kafka, undecided).await?;
        let standing = self.look(next).await?;
        ensure!(
            undecided.is_none() || matches!(standing, Standing::Moved(_)),
            "nobody can tell whether the last page was committed, for Kafka has lost the end of its \
             transaction; the next start gives run {} up",
            next.run
        );
        Ok(standing)
    }

    async fn look(&self, next: &Cursor) -> anyhow::Result<Standing> {
        let read = async || cursors::read(&self.kafka, &self.topics, self.region).await;
        loop {
            let found = outlast(&self.kafka, read).await?;
            if found == self.last {
                return Ok(Standing::Before);
            }
            match found {
                Some(found) if found == *next => return Ok(Standing::After),
                // An older one of ours: the last one is committed, and readers do not see it yet.
                Some(found) if found.owner == next.owner => sleep(PAUSE).await,
                found => return Ok(Standing::Moved(found.map_or("unknown".to_owned(), |found| found.owner))),
            }
        }
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
mod tests {
    use std::collections::BTreeMap;

    use catalog_shared::cursor::{Mode, Shape};
    use catalog_shared::kafka::{self, LogContext};
    use catalog_shared::watermarks::watermarks;
    use rdkafka::consumer::BaseConsumer;
    use rdkafka::mocking::MockCluster;
    use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

    use super::*;
    use crate::run::lifecycle;

    fn cursor() -> Cursor {
        let shape = Shape {
            mode: Mode::Full,
            kinds: Vec::new(),
            api_url: String::new(),
            since: None,
            limit: None,
            domains: Vec::new(),
            from: None,
        };
        lifecycle::fresh(Region::Us, shape, 1, &BTreeMap::new())
    }

    /// On librdkafka's mock cluster, which shows records as soon as they are there: as if each transaction had been
    /// committed, whatever its producer was told.
    #[tokio::test]
    async fn a_commit_whose_answer_was_lost_is_found_standing_and_not_made_again() {
        let cluster = MockCluster::new(1).unwrap();
        let topic = Topics::new("").cursors();
        cluster.create_topic(&topic, 2, 1).unwrap();
        let brokers = cluster.bootstrap_servers();
        let kafka = KafkaArgs { brokers, options: Vec::new(), topic_prefix: String::new() };
        let (mut claim, _) = Claim::open(&kafka, Region::Us).await.unwrap();
        let claimed = cursor();
        assert!(claim.establish(&claimed).await.unwrap());

        let fenced = RDKafkaRespErr::RD_KAFKA_RESP_ERR_PRODUCER_FENCED;
        cluster.request_errors(RDKafkaApiKey::EndTxn, &[fenced]);
        claim.commit(Vec::new(), &Cursor { next_page: 1, ..claimed }).await.unwrap();

        let config = cursors::client_config(&kafka, "read_uncommitted").unwrap();
        let read = move || {
            let consumer: BaseConsumer<LogContext> = kafka::create(&config, LogContext::default()).unwrap();
            watermarks(&consumer, &topic, Region::Us.cursor_partition()).unwrap().1
        };
        // The claim and the page.
        assert_eq!(spawn_blocking(read).await.unwrap(), 2);
    }

    #[test]
    fn an_outage_is_waited_for_and_other_trouble_is_not_for_long() {
        let mut tries = Tries::default();
        let mut allows = |error: fn(String) -> TransactionError, times| {
            (0..times).filter(|_| tries.allow_another_after(&error(String::new()))).count()
        };
        assert_eq!(allows(TransactionError::Away, 100), 100);
        assert_eq!(allows(TransactionError::Fatal, 3), 3);
        assert_eq!(allows(TransactionError::Away, 1), 1);
        assert_eq!(allows(TransactionError::Aborted, 5), 4);
        assert_eq!(allows(TransactionError::Away, 1), 1);
        assert_eq!(allows(TransactionError::Slow, 5), 4);
        assert_eq!(allows(TransactionError::Refused, 1), 0);
    }
}
