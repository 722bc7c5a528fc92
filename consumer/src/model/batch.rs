//! A batch: consecutive records of one partition, applied in one transaction.

use crate::model::record::Record;
use crate::model::topic::TopicPartition;

/// Records of one partition on their way into the tables. The position moves `from` .. `to`: records have
/// gaps between their offsets, and a batch without records moves past what is none (a transaction's end).
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) place: TopicPartition,
    pub(crate) from: i64,
    pub(crate) to: i64,
    pub(crate) records: Vec<Record>,
}
