//! The types that all stages share: records and batches, topics and partitions, and start offsets and positions.

pub(crate) mod arena;
pub(crate) mod batch;
pub(crate) mod batch_handle;
pub(crate) mod chunk;
pub(crate) mod copy_id;
pub(crate) mod effect;
pub(crate) mod end_of_run;
pub(crate) mod headers;
pub(crate) mod partition;
pub(crate) mod positions;
pub(crate) mod record;
pub(crate) mod source;
pub(crate) mod stages;
pub(crate) mod start;
pub(crate) mod topic;
pub(crate) mod watermarks;
