//! A region belongs to one producer at a time, and the newest one wins.
//!
//! The cursor names its owner. Opening a transactional producer fences the one before, but a producer
//! can't tell a fence from a transaction that timed out. So it waits, reads who owns the cursor now,
//! without opening anything, and only carries on if that is still itself.

use std::time::Duration;

use anyhow::Context;
use catalog_shared::cursor::Cursor;
use catalog_shared::exit::Stop;
use catalog_shared::kafka::KafkaArgs;
use catalog_shared::region::Region;
use catalog_shared::topics::Topics;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::state;
use crate::transaction::{Outgoing, TransactionError, Transactions};

/// How long a newer producer gets to write its claim before the fenced one looks for it.
const GRACE: Duration = Duration::from_secs(2);
/// How often an aborted transaction is tried again, and how long is waited before.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_secs(1);

/// The right to write a region's cursor.
pub(crate) struct Claim {
    kafka: KafkaArgs,
    topics: Topics,
    region: Region,
    /// Who the cursor belonged to when it was last read or written here.
    owner: Option<String>,
    transactions: Transactions,
}

impl Claim {
    /// Fences every other producer of the region, then reads its cursor. The claim is made by the first
    /// commit.
    pub(crate) async fn open(kafka: &KafkaArgs, region: Region) -> anyhow::Result<(Self, Option<Cursor>)> {
        let topics = kafka.topics();
        let transactions = open_transactions(kafka, &topics, region).await?;
        let last = state::read(kafka, &topics, region).await?;
        let owner = last.as_ref().map(|cursor| cursor.owner.clone());
        let kafka = kafka.clone();
        Ok((Self { kafka, topics, region, owner, transactions }, last))
    }

    /// Publishes records together with the cursor that speaks of them, exactly once.
    ///
    /// # Errors
    /// [`Stop::Guard`] when another producer has taken the region over; else what Kafka said.
    pub(crate) async fn commit(&mut self, mut records: Vec<Outgoing>, next: &Cursor) -> anyhow::Result<()> {
        records.push(state::record(&self.topics, next)?);
        let mut tries = 1;
        loop {
            match self.transactions.publish(&records).await {
                Ok(()) => break,
                Err(TransactionError::Fatal(reason)) => {
                    if self.recover(&reason, next).await? {
                        break;
                    }
                }
                Err(error) if tries == TRIES => return Err(error).context("can't publish to Kafka"),
                Err(error) => {
                    tracing::warn!(%error, tries, "publishing again");
                    tries += 1;
                    sleep(PAUSE).await;
                }
            }
        }
        self.owner = Some(next.owner.clone());
        Ok(())
    }

    /// Carries on after a fatal error with a new instance, if the region is still ours. Tells whether the
    /// transaction in hand was committed after all.
    async fn recover(&mut self, reason: &str, next: &Cursor) -> anyhow::Result<bool> {
        tracing::warn!(reason, "looking whether another producer has taken over");
        sleep(GRACE).await;
        self.still_ours(next, self.read().await?.as_ref())?;
        let fresh = open_transactions(&self.kafka, &self.topics, self.region).await?;
        let stale = std::mem::replace(&mut self.transactions, fresh);
        spawn_blocking(move || drop(stale)).await?;
        let last = self.read().await?;
        self.still_ours(next, last.as_ref())?;
        Ok(last.as_ref() == Some(next))
    }

    async fn read(&self) -> anyhow::Result<Option<Cursor>> {
        state::read(&self.kafka, &self.topics, self.region).await
    }

    fn still_ours(&self, next: &Cursor, found: Option<&Cursor>) -> Result<(), Stop> {
        let owner = found.map(|cursor| &cursor.owner);
        if owner == self.owner.as_ref() || owner == Some(&next.owner) {
            return Ok(());
        }
        Err(Stop::Guard(format!(
            "another producer of region {} has taken over (owner {}); this one has published nothing since",
            self.region,
            owner.map_or("unknown", String::as_str)
        )))
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
