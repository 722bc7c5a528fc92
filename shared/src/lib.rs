//! What the producer and the consumer agree on: records and their keys, the producer's cursor, the
//! markers that end a run, topic names, and the configuration that both programs share.

pub mod answer;
pub mod command_line;
pub mod cursor;
pub mod cursors;
pub mod duration;
pub mod exit;
pub mod fields;
mod fixed;
pub mod human;
pub mod kafka;
pub mod key;
pub mod log_writer;
pub mod marker;
pub mod outage;
pub mod partition;
pub mod rate;
pub mod record;
pub mod region;
pub mod rights;
pub mod screen;
pub mod shutdown;
mod stop;
pub mod telemetry;
pub mod topic_setup;
pub mod topics;
pub mod verdict;
pub mod watermarks;
