//! A batch: consecutive records of one partition, applied in one transaction.

use crate::model::record::Record;
use crate::model::topic::TopicPartition;

/// Records of one partition that are applied together. The position moves from `from` to `to`. Offsets may have gaps, and
/// a batch without records moves the position past the end of a transaction.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) topic_partition: TopicPartition,
    pub(crate) from: i64,
    pub(crate) to: i64,
    pub(crate) records: Vec<Record>,
}
