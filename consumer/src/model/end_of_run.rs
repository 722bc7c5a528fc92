//! End-of-run records. A producer writes one to every partition when a run ends.

use catalog_shared::end_record::EndRecord;
use catalog_shared::region::Region;

/// An end-of-run record and its offset.
#[derive(Debug)]
pub(crate) struct EndOfRun {
    pub(crate) region: Region,
    pub(crate) offset: i64,
    pub(crate) record: Box<EndRecord>,
}

impl EndOfRun {
    /// Whether it ends this run, or a later run of the region, before this offset. No record of the run may follow.
    pub(crate) fn ends(&self, (region, run): (Region, u32), offset: i64) -> bool {
        self.region == region && self.record.run >= run && self.offset < offset
    }
}
