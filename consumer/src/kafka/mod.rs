//! Kafka: the consumer group, readers without a group, offsets and watermarks, and the topic of decisions.

pub(crate) mod admin;
pub(crate) mod committed_ends;
pub(crate) mod context;
pub(crate) mod data_partitions;
pub(crate) mod decision_log;
pub(crate) mod decision_reader;
pub(crate) mod detached_reader;
pub(crate) mod end_offsets;
pub(crate) mod errors;
pub(crate) mod group;
pub(crate) mod group_members;
pub(crate) mod kept_client;
pub(crate) mod lost_records;
pub(crate) mod offsets;
pub(crate) mod oldest_unread;
pub(crate) mod partitions;
pub(crate) mod polling;
pub(crate) mod reader;
pub(crate) mod receive;
pub(crate) mod source;
