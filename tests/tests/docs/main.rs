//! The documentation: its links, the files that it names, flags, log events, command lines, metrics, alerts, and the
//! filters of tests. Tests that need Kafka and PostgreSQL are in `pipeline/documented`.

mod alerts;
mod command_files;
mod command_lines;
mod flags;
mod links;
mod log_events;
mod metrics;
mod source_files;
mod test_filters;
