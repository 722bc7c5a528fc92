//! Which records of the topics a pass applies.

use std::collections::{HashMap, HashSet};

use roaring::RoaringTreemap;

use crate::decode::row_key::RowId;
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

    /// After a pass: what has to be applied too; `None` if the rows are complete. `unapplied` are the rows of the records that
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

/// The offsets of selected records that were not received yet, by partition. Compressed bitmaps: at most two bytes per
/// record, or one bit per offset.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct SelectedOffsets(HashMap<PartitionId, RoaringTreemap>);

impl SelectedOffsets {
    /// Selects a record.
    pub(super) fn insert(&mut self, partition: PartitionId, offset: i64) {
        self.0.entry(partition).or_default().insert(offset.cast_unsigned());
    }

    /// The number of selected records.
    pub(super) fn len(&self) -> u64 {
        self.0.values().map(RoaringTreemap::len).sum()
    }

    /// Takes out the offset of a received record. Returns whether it was selected.
    fn take(&mut self, partition: PartitionId, offset: i64) -> bool {
        self.0.get_mut(&partition).is_some_and(|offsets| offsets.remove(offset.cast_unsigned()))
    }

    /// Whether selected records were never received, because compaction has removed them since.
    fn are_incomplete(&self) -> bool {
        self.len() > 0
    }
}

#[cfg(test)]
mod tests {
    use catalog_shared::record::RecordType;

    use super::*;
    use crate::model::topic::TopicKind;

    const ONE: PartitionId = (TopicKind::Data(RecordType::Hosts), 0);
    const OTHER: PartitionId = (TopicKind::Data(RecordType::Hosts), 1);

    fn selected() -> SelectedOffsets {
        let mut selection = SelectedOffsets::default();
        for (partition, offset) in [(ONE, 10), (ONE, 12), (OTHER, i64::MAX)] {
            selection.insert(partition, offset);
        }
        selection
    }

    #[test]
    fn each_selected_record_is_taken_once() {
        let mut selection = selected();
        let taken: Vec<i64> = (0..20).chain(0..20).filter(|offset| selection.take(ONE, *offset)).collect();
        assert_eq!(taken, [10, 12]);
        assert!(selection.are_incomplete());
        assert!(selection.take(OTHER, i64::MAX));
        assert!(!selection.are_incomplete());
    }

    #[test]
    fn a_selected_record_that_never_came_is_noticed() {
        for received in [&[12][..], &[10], &[10, 13]] {
            let mut selection = selected();
            selection.take(OTHER, i64::MAX);
            for offset in received {
                selection.take(ONE, *offset);
            }
            assert!(selection.are_incomplete(), "{received:?}");
        }
    }
}
