//! End-of-run records, which producers write to every partition when a run ends. The code calls their value a marker.

use catalog_shared::end_record::EndRecord;
use catalog_shared::region::Region;

/// A marker and where it stands.
#[derive(Debug)]
pub(crate) struct EndOfRun {
    pub(crate) region: Region,
    pub(crate) offset: i64,
    pub(crate) marker: Box<EndRecord>,
}

impl EndOfRun {
    /// Whether it ends a run, or a later one, before this offset: then nothing of the run is to come here.
    pub(crate) fn ends(&self, (region, run): (Region, u32), offset: i64) -> bool {
        self.region == region && self.marker.run >= run && self.offset < offset
    }
}
