//! The producer of one region: it discovers (asks the API), crawls (covers the id space in lanes) and
//! publishes (a page and the cursor in one Kafka transaction).

pub mod cli;
pub mod crawl;
pub mod report;

mod discover;
#[cfg(test)]
mod properties;
mod publish;
