//! The producer of one region: it discovers (asks the API), crawls (covers the id space in lanes) and
//! publishes (a page and the cursor in one Kafka transaction).

pub mod cli;
pub mod crawl;
pub mod scope;

mod claim;
mod commit;
mod discover;
mod idspace;
mod lane;
mod log;
mod page;
mod plan;
mod publish;
mod records;
mod retry;
mod run;
mod since;
mod state;
mod summary;
mod throttle;
mod topics;
mod transaction;
