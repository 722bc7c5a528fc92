//! The producer of one region: it discovers (asks the API), crawls (covers the id space in lanes) and
//! publishes (a page and the cursor in one Kafka transaction).

pub mod cli;
pub mod crawl;

mod body;
mod claim;
mod clock;
mod commit;
mod discover;
mod error;
mod idspace;
mod lane;
mod page;
mod plan;
mod publish;
mod records;
mod refusal;
mod retry;
mod salvage;
mod size;
mod state;
mod summary;
mod throttle;
mod topics;
mod transaction;
