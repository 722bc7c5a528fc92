//! What the producer and the consumer share: the formats of records, keys, cursors, end-of-run records and decisions, the
//! names of topics, and common configuration.

pub mod answer;
pub mod command_files;
pub mod command_line;
pub mod cursor;
pub mod cursors;
pub mod decision;
pub mod doctor;
pub mod duration;
pub mod end_record;
pub mod events;
pub mod exit;
pub mod fields;
mod fixed;
pub mod human;
pub mod kafka;
pub mod kafka_doctor;
pub mod key;
pub mod log_writer;
pub mod monitoring;
pub mod outage;
pub mod partition;
pub mod rate;
pub mod record;
pub mod region;
pub mod rights;
pub mod settings;
pub mod shutdown;
mod stop;
pub mod telemetry;
pub mod terminal;
mod text_fields;
pub mod time_limit;
pub mod topic_setup;
pub mod topics;
pub mod version;
pub mod watermarks;
