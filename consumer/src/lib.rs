//! The consumer: it consumes (a member of the group, partition by partition), decodes (a record becomes
//! a row), batches, and applies (a batch is one PostgreSQL transaction, exactly once).

pub mod cli;
pub mod consume;
pub mod database;
pub mod letters;
pub mod rebuild;
pub mod runs;
pub mod verify;

mod apply;
mod batch;
mod caught_up;
mod dataset;
mod dead_letters;
mod decode;
mod dry_run;
mod failure;
mod group;
mod judge;
mod ledger;
mod literal;
mod marking;
mod mend;
mod number;
mod outage;
mod outbox;
mod partition;
mod patience;
mod positions;
#[cfg(test)]
mod properties;
mod reader;
mod rebalance;
mod receive;
mod received;
mod start;
mod summary;
mod sweep;
mod verdict_log;
mod verdicts;
