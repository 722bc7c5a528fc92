//! The consumer: it consumes (a member of the group, partition by partition), decodes (a record becomes a row),
//! applies (a batch is one PostgreSQL transaction, exactly once) and keeps the books of each run.
//!
//! Beside that stand what looks after the tables: `runs`, `dead-letters`, `rebuild`, `verify`, `move` and dry runs.

pub mod cli;
pub mod consume;
pub mod database;
pub mod dead_letters;
pub mod moving;
#[doc(hidden)]
pub mod probe;
pub mod rebuild;
pub mod runs;
pub mod verify;

mod apply;
mod batch;
mod binding;
mod books;
mod decode;
mod dry_run;
#[cfg(test)]
mod properties;
