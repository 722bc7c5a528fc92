//! Which records of the topics a pass applies.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use catalog_shared::record::Version;

use crate::decode::row_key::{Head, RowId, Target};
use crate::model::topic::PartitionId;

/// The records that a pass applies. It skips all others, which are only counted.
#[derive(Debug, Default)]
pub(crate) enum Selection {
    #[default]
    All,
    /// The records at these offsets.
    Offsets(SelectedOffsets),
    /// All records of these rows.
    Rows(HashSet<RowId>),
}

impl Selection {
    /// Whether a pass applies a received record. `row` finds the row that it may become.
    pub(crate) fn contains(
        &mut self,
        partition: PartitionId,
        offset: i64,
        row: impl FnOnce() -> Option<RowId>,
    ) -> bool {
        match self {
            Self::All => true,
            Self::Offsets(offsets) => offsets.take(partition, offset),
            Self::Rows(rows) => row().is_some_and(|row| rows.contains(&row)),
        }
    }

    /// After a pass: what has to be applied too; none if the rows are complete. `unapplied` are the rows of the records that
    /// became dead letters.
    pub(crate) fn missed(self, unapplied: HashSet<RowId>) -> Option<Self> {
        match self {
            Self::Offsets(offsets) if offsets.are_incomplete() => Some(Self::All),
            Self::Offsets(_) if !unapplied.is_empty() => Some(Self::Rows(unapplied)),
            _ => None,
        }
    }

    /// The number of rows, if only the records of some rows are selected.
    pub(super) fn rows(&self) -> Option<usize> {
        if let Self::Rows(rows) = self { Some(rows.len()) } else { None }
    }
}

/// The offsets of selected records that were not received yet, by partition, the next one last.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct SelectedOffsets {
    offsets: HashMap<PartitionId, Vec<i64>>,
    /// Whether a later record of the partition came instead of a selected one.
    are_missing: bool,
}

impl SelectedOffsets {
    /// Takes out the offset of a received record. Returns whether it was selected.
    fn take(&mut self, partition: PartitionId, offset: i64) -> bool {
        let Some(offsets) = self.offsets.get_mut(&partition) else { return false };
        while offsets.pop_if(|next| *next < offset).is_some() {
            self.are_missing = true;
        }
        offsets.pop_if(|next| *next == offset).is_some()
    }

    /// Whether selected records were never received, because compaction has removed them since.
    pub(super) fn are_incomplete(&self) -> bool {
        self.are_missing || self.offsets.values().any(|offsets| !offsets.is_empty())
    }
}

/// The newest version of each row, and the records that are applied in any case. About 50 bytes per row.
#[derive(Default)]
pub(crate) struct NewestVersions {
    newest: HashMap<RowId, Newest>,
    others: Vec<(PartitionId, i64)>,
}

struct Newest {
    version: Version,
    partition: PartitionId,
    offset: i64,
}

impl NewestVersions {
    /// Adds a record. As in the tables, the higher version of a row wins, and among equal ones the later record. A record that
    /// can't become a row is applied in any case, except end-of-run records: the ledger of existing tables has them.
    pub(crate) fn add(&mut self, partition: PartitionId, offset: i64, head: &Head<'_>) {
        let (row, version) = match head.find_target(partition.0) {
            Target::Row(row, version) => (row, version),
            Target::EndOfRun => return,
            Target::Nothing => return self.others.push((partition, offset)),
        };
        let found = Newest { version, partition, offset };
        match self.newest.entry(row) {
            Entry::Vacant(entry) => {
                entry.insert(found);
            }
            Entry::Occupied(mut entry) => {
                if (entry.get().version, entry.get().offset) < (version, offset) {
                    entry.insert(found);
                }
            }
        }
    }

    /// The number of rows.
    pub(super) fn rows(&self) -> usize {
        self.newest.len()
    }

    /// The records to apply.
    pub(crate) fn select(self) -> SelectedOffsets {
        let mut offsets: HashMap<PartitionId, Vec<i64>> = HashMap::new();
        let newest = self.newest.into_values().map(|newest| (newest.partition, newest.offset));
        for (partition, offset) in newest.chain(self.others) {
            offsets.entry(partition).or_default().push(offset);
        }
        offsets.values_mut().for_each(|offsets| offsets.sort_unstable_by(|one, other| other.cmp(one)));
        SelectedOffsets { offsets, are_missing: false }
    }
}

#[cfg(test)]
mod tests {
    use catalog_shared::record::{Content, RecordType, Stamp};
    use catalog_shared::region::Region;
    use time::OffsetDateTime;

    use super::*;
    use crate::model::topic::TopicKind;

    const TOPIC: TopicKind = TopicKind::Data(RecordType::Hosts);
    const ONE: PartitionId = (TOPIC, 0);
    const OTHER: PartitionId = (TOPIC, 1);

    fn stamp(run: u32, page: u32) -> Stamp {
        let (content, version) = (Content::Record(RecordType::Hosts), Version { run, page });
        Stamp { content, region: Region::Us, version, observed_at: OffsetDateTime::UNIX_EPOCH }
    }

    fn add(newest: &mut NewestVersions, key: &str, stamp: Stamp, partition: PartitionId, offset: i64) {
        newest.add(
            partition,
            offset,
            &Head { stamp: Some(stamp), key: Some(key.as_bytes()), has_value: true },
        );
    }

    fn selected(records: &[(&str, (u32, u32), PartitionId, i64)]) -> SelectedOffsets {
        let mut newest = NewestVersions::default();
        for (host, (run, page), partition, offset) in records {
            add(&mut newest, &format!("us/{host}"), stamp(*run, *page), *partition, *offset);
        }
        newest.add(ONE, 50, &Head { stamp: None, key: None, has_value: true });
        let end = Stamp { content: Content::EndRecord, ..stamp(7, 1) };
        add(&mut newest, "us/#run/7", end, ONE, 51);
        // This one can't be read, because its key is another run's.
        add(&mut newest, "us/#run/8", end, ONE, 52);
        newest.select()
    }

    #[test]
    fn the_highest_version_of_a_row_is_selected_wherever_it_is() {
        let mut selection = selected(&[
            ("a", (2, 9), ONE, 10),
            // Written later, but older: a version is not an offset.
            ("a", (2, 1), ONE, 11),
            ("a", (1, 30), OTHER, 90),
            // The topic got more partitions.
            ("b", (3, 1), ONE, 12),
            ("b", (4, 1), OTHER, 3),
            // Twice in one page: the later one.
            ("c", (5, 1), ONE, 13),
            ("c", (5, 1), ONE, 14),
        ]);
        let ones: Vec<i64> = (0..60).filter(|offset| selection.take(ONE, *offset)).collect();
        let others: Vec<i64> = (0..99).filter(|offset| selection.take(OTHER, *offset)).collect();
        assert_eq!((ones, others), (vec![10, 14, 50, 52], vec![3]));
        assert!(!selection.are_incomplete());
    }

    #[test]
    fn a_selected_record_that_never_came_is_noticed() {
        for received in [&[10, 50, 52][..], &[52], &[10], &[10, 12]] {
            let mut selection = selected(&[("a", (1, 1), ONE, 10), ("b", (1, 1), ONE, 12)]);
            for offset in received {
                selection.take(ONE, *offset);
            }
            assert!(selection.are_incomplete());
        }
    }
}
