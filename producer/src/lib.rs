//! The producer of one region: it discovers (asks the API), crawls (covers the id space in lanes) and
//! publishes (a page and the cursor in one Kafka transaction).

pub mod cli;
pub mod crawl;
pub mod scope;
pub mod screen;
pub mod status;

mod body;
mod border;
mod buffers;
mod cassette;
mod claim;
mod clock;
mod commit;
mod cut;
mod discover;
mod domains;
mod error;
mod human;
mod idspace;
mod lane;
mod log;
mod page;
mod plan;
mod progress;
#[cfg(test)]
mod properties;
mod publish;
mod records;
mod redact;
mod refusal;
mod retry;
mod run;
mod salvage;
mod since;
mod size;
mod state;
mod summary;
mod tally;
mod throttle;
mod topics;
mod transaction;
mod undecided;
mod watch;
