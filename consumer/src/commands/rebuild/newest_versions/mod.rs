//! The newest version of each row, by keys and headers alone. Memory is limited; what exceeds it goes to temporary files.

use std::collections::HashMap;
use std::env;

use anyhow::{Context, ensure};
use catalog_shared::events;
use catalog_shared::record::Version;
use catalog_shared::shutdown::CancellationToken;

use super::selection::SelectedOffsets;
use crate::decode::row_key::{Head, RecordTarget, RowId};
use crate::model::topic::PartitionId;
use spill::Spill;

mod spill;

/// The number of rows in memory: 40 bytes each in a hash table that has room for 917,504 at this size, 43 MB in all, and 65 MB for
/// the moment in which it has grown to this size. In unit tests it is small, so that the properties of rebuilds cover the
/// temporary files.
const MAX_IN_MEMORY: usize = if cfg!(test) { 3 } else { 900_000 };

/// Finds the newest version of each row, and the records that are applied in any case.
#[derive(Default)]
pub(crate) struct NewestVersions {
    newest: HashMap<RowId, Newest>,
    /// Other entries, if there were too many for memory.
    spill: Option<Spill>,
    /// The partitions that the entries refer to.
    partitions: Vec<PartitionId>,
    /// The records to apply that are known already.
    selected: SelectedOffsets,
}

/// The newest version of a row, and where it is.
#[derive(Clone, Copy)]
struct Newest {
    version: Version,
    /// An index of [`NewestVersions::partitions`].
    partition: u32,
    offset: i64,
}

impl NewestVersions {
    /// Adds a record. As in the tables, the higher version of a row wins, and among equal ones the later record. A record that
    /// can't become a row is applied in any case, except end-of-run records: the ledger of existing tables has them.
    ///
    /// # Errors
    /// If a temporary file can't be written.
    pub(crate) fn add(&mut self, partition: PartitionId, offset: i64, head: &Head<'_>) -> anyhow::Result<()> {
        let (row, version) = match head.find_target(partition.0) {
            RecordTarget::Row(row, version) => (row, version),
            RecordTarget::EndOfRun => return Ok(()),
            RecordTarget::Nothing => {
                self.selected.insert(partition, offset);
                return Ok(());
            }
        };
        let partition = self.number(partition)?;
        keep_newer(&mut self.newest, row, Newest { version, partition, offset });
        if self.newest.len() < MAX_IN_MEMORY { Ok(()) } else { self.spill() }
    }

    /// The records to apply.
    ///
    /// # Errors
    /// If a temporary file can't be written or read, or if it is stopped.
    pub(crate) fn select(mut self, stop: &CancellationToken) -> anyhow::Result<SelectedOffsets> {
        if self.spill.is_some() {
            self.spill()?;
        }
        let buckets = self.spill.take().map_or(Ok(Vec::new()), Spill::into_buckets);
        let mut newest = std::mem::take(&mut self.newest);
        self.select_all(&newest);
        for bucket in buckets.with_context(spill::advice)? {
            ensure!(!stop.is_cancelled(), "interrupted");
            newest.clear();
            let read = bucket.read(|row, found| keep_newer(&mut newest, row, found));
            read.context("can't read a temporary file")?;
            self.select_all(&newest);
        }
        Ok(self.selected)
    }

    fn select_all(&mut self, newest: &HashMap<RowId, Newest>) {
        for Newest { partition, offset, .. } in newest.values() {
            self.selected.insert(self.partitions[*partition as usize], *offset);
        }
    }

    /// The number of a partition in [`NewestVersions::partitions`].
    fn number(&mut self, partition: PartitionId) -> anyhow::Result<u32> {
        // Records arrive by partition, so it is usually the last one.
        let known = self.partitions.iter().rposition(|known| *known == partition);
        let index = known.unwrap_or_else(|| {
            self.partitions.push(partition);
            self.partitions.len() - 1
        });
        Ok(u32::try_from(index)?)
    }

    /// Moves all rows from memory to the temporary files.
    fn spill(&mut self) -> anyhow::Result<()> {
        let spill = match &mut self.spill {
            Some(spill) => spill,
            none => none.insert(start_spill(self.newest.len())?),
        };
        self.newest.drain().try_for_each(|(row, newest)| spill.write(row, newest)).with_context(spill::advice)
    }
}

fn start_spill(rows: usize) -> anyhow::Result<Spill> {
    tracing::info!(
        event = events::VERSIONS_SPILLED,
        rows,
        directory = %env::temp_dir().display(),
        "too many rows for memory; writing their newest versions to temporary files"
    );
    Spill::create().with_context(spill::advice)
}

fn keep_newer(newest: &mut HashMap<RowId, Newest>, row: RowId, found: Newest) {
    let kept = newest.entry(row).or_insert(found);
    if (kept.version, kept.offset) < (found.version, found.offset) {
        *kept = found;
    }
}

#[cfg(test)]
mod tests {
    use catalog_shared::record::{Content, RecordHeaders, RecordType};
    use catalog_shared::region::Region;
    use time::OffsetDateTime;

    use super::*;
    use crate::model::topic::TopicKind;

    const TOPIC: TopicKind = TopicKind::Data(RecordType::Hosts);
    const ONE: PartitionId = (TOPIC, 0);
    const OTHER: PartitionId = (TOPIC, 1);

    fn stamp(run: u32, page: u32) -> RecordHeaders {
        let (content, version) = (Content::Record(RecordType::Hosts), Version { run, page });
        RecordHeaders { content, region: Region::Us, version, observed_at: OffsetDateTime::UNIX_EPOCH }
    }

    fn add(
        newest: &mut NewestVersions,
        key: &str,
        stamp: RecordHeaders,
        partition: PartitionId,
        offset: i64,
    ) {
        let head = Head { stamp: Some(stamp), key: Some(key.as_bytes()), has_value: true };
        newest.add(partition, offset, &head).unwrap();
    }

    /// Selects from records of these hosts, and from end-of-run records.
    fn selected(records: &[(&str, (u32, u32), PartitionId, i64)]) -> SelectedOffsets {
        let mut newest = NewestVersions::default();
        for (host, (run, page), partition, offset) in records {
            add(&mut newest, &format!("us/{host}"), stamp(*run, *page), *partition, *offset);
        }
        newest.add(ONE, 50, &Head { stamp: None, key: None, has_value: true }).unwrap();
        let end = RecordHeaders { content: Content::EndRecord, ..stamp(7, 1) };
        add(&mut newest, "us/#run/7", end, ONE, 51);
        // This one can't be read, because its key is another run's.
        add(&mut newest, "us/#run/8", end, ONE, 52);
        newest.select(&CancellationToken::new()).unwrap()
    }

    fn offsets(expected: &[(PartitionId, i64)]) -> SelectedOffsets {
        let mut offsets = SelectedOffsets::default();
        expected.iter().for_each(|(partition, offset)| offsets.insert(*partition, *offset));
        offsets
    }

    #[test]
    fn the_highest_version_of_a_row_is_selected_wherever_it_is() {
        let selection = selected(&[
            ("a", (2, 9), ONE, 10),
            // Written later, but older: a version is not an offset.
            ("a", (2, 1), ONE, 11),
            ("a", (1, 30), OTHER, 90),
        ]);
        assert_eq!(selection, offsets(&[(ONE, 10), (ONE, 50), (ONE, 52)]));
    }

    #[test]
    fn rows_that_do_not_fit_into_memory_are_selected_too() {
        let selection = selected(&[
            ("a", (2, 9), ONE, 10),
            // The topic got more partitions.
            ("b", (3, 1), ONE, 12),
            ("c", (5, 1), ONE, 13),
            ("b", (4, 1), OTHER, 3),
            ("a", (2, 1), ONE, 14),
            ("d", (1, 1), ONE, 15),
            ("e", (1, 1), ONE, 16),
            // Twice in one page: the later one.
            ("c", (5, 1), ONE, 17),
            ("f", (1, 1), OTHER, 4),
        ]);
        let of_one = [10, 15, 16, 17, 50, 52].map(|offset| (ONE, offset));
        let of_other = [3, 4].map(|offset| (OTHER, offset));
        assert_eq!(selection, offsets(&[&of_one[..], &of_other].concat()));
    }
}
