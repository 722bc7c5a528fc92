//! The documentation by itself: its links, the files that it names, the flags and the command lines. What needs Kafka
//! and PostgreSQL is in `pipeline/documented`.

mod command_lines;
mod flags;
mod links;
mod log_events;
mod source_files;
