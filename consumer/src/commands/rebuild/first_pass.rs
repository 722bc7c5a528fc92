//! The first pass over the topics reads keys and headers only, and finds the newest version of each row.

use anyhow::bail;
use catalog_shared::events;
use catalog_shared::kafka::KafkaArgs;
use catalog_shared::shutdown::CancellationToken;
use rdkafka::message::{BorrowedMessage, Message};
use tokio::task::spawn_blocking;

use super::loss;
use super::selection::{NewestVersions, SelectedOffsets};
use super::targets::ReplayTargets;
use super::topic_pass::{Sink, TopicPass, lost_its_offset};
use crate::decode::row_key::Head;
use crate::model::record::Record;
use crate::model::topic::PartitionId;

/// Reads every partition from its first record to its target, and selects the records that the second pass applies.
///
/// # Errors
/// An error of Kafka, or no progress for [`super::replay::STALL_TIMEOUT`].
pub(super) async fn select(kafka: &KafkaArgs, targets: &ReplayTargets) -> anyhow::Result<SelectedOffsets> {
    let pass = TopicPass::start(kafka, targets.ranges())?;
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    // The thread ends soon after this future is dropped.
    let _guard = stop.drop_guard();
    match spawn_blocking(move || read(pass, &stopped)).await? {
        Err(error) if lost_its_offset(&error) => {
            let starts = targets.ranges().map(|(topic_partition, low, _)| (topic_partition.clone(), low));
            let lost = loss::find_lost_during_replay(kafka, starts.collect()).await?;
            bail!("{lost}: run the command again")
        }
        selected => selected,
    }
}

fn read(pass: TopicPass, stop: &CancellationToken) -> anyhow::Result<SelectedOffsets> {
    let mut keys = Keys::default();
    pass.read(&mut keys, stop)?;
    let Keys { newest, records } = keys;
    let rows = newest.rows();
    tracing::info!(
        event = events::NEWEST_VERSIONS_FOUND,
        records,
        rows,
        "found the newest version of each row by keys and headers"
    );
    Ok(newest.select())
}

/// Takes the keys and the headers of the records.
#[derive(Default)]
struct Keys {
    newest: NewestVersions,
    records: u64,
}

impl Sink for Keys {
    fn take(&mut self, partition: PartitionId, message: &BorrowedMessage<'_>) -> anyhow::Result<()> {
        let has_value = message.payload().is_some();
        let head = Head { stamp: Record::stamp(message), key: message.key(), has_value };
        self.newest.add(partition, message.offset(), &head);
        self.records += 1;
        Ok(())
    }

    fn log_progress(&self) {
        let (records, rows) = (self.records, self.newest.rows());
        tracing::info!(event = events::KEYS_READ, records, rows, "keys and headers read so far");
    }
}
