//! The consumer: it consumes (a member of the group, partition by partition), decodes (a record becomes
//! a row), batches, and applies (a batch is one PostgreSQL transaction, exactly once).

pub mod cli;
pub mod consume;
pub mod database;
pub mod runs;

mod apply;
mod batch;
mod caught_up;
mod dataset;
mod decode;
mod group;
mod judge;
mod ledger;
mod literal;
mod mend;
mod outbox;
mod partition;
mod positions;
#[cfg(test)]
mod properties;
mod reader;
mod rebalance;
mod receive;
mod start;
mod summary;
mod verdict_log;
mod verdicts;
