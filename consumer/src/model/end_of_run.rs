//! End-of-run records. A producer writes one to every partition when a run ends.

use catalog_shared::end_record::EndRecord;
use catalog_shared::region::Region;

/// An end-of-run record and its offset.
#[derive(Debug)]
pub(crate) struct ReceivedEndRecord {
    pub(crate) region: Region,
    pub(crate) offset: i64,
    pub(crate) record: Box<EndRecord>,
}
