//! The producer of one region: it crawls the Discovery API and publishes each page to Kafka in one transaction
//! with the cursor that covers it.
//!
//! The modules are layers, from the top down, and each imports only layers below it (`tests/tests/layers/`):
//!
//! - `cli`: the command line, and the command that it starts.
//! - `crawl`, `doctor` and `status`: the commands. `crawl` orchestrates a run.
//! - `api`: requests to the Discovery API. `publish`: transactions in Kafka. `report`: summaries of crawls.
//! - `run`: a run as a pure state machine, from cursor to cursor.
//! - `config`: plain configuration structs. `progress`: counters, and the display that draws them.
//! - `model`: types that the other layers share. `schedule`: the times of `--every`.
//!
//! Beside them, `probe` is what benches and fuzz targets call.

pub mod cli;
pub mod config;
#[doc(hidden)]
pub mod probe;

mod api;
mod crawl;
mod doctor;
mod model;
mod progress;
#[cfg(test)]
mod properties;
mod publish;
mod report;
mod run;
mod schedule;
mod status;
