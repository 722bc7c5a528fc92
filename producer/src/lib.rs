//! The producer of one region: it crawls the Discovery API and publishes each page to Kafka in one transaction
//! with the cursor that covers it.

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
