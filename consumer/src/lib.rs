//! The consumer reads records from Kafka, decodes them to rows, and applies each batch to PostgreSQL in one transaction,
//! exactly once. A ledger counts what became of the records of each run.
//!
//! The modules are layers, from the top down, and each imports only layers below it (`tests/tests/layers/`):
//!
//! - `cli`: the command line, and the command that it starts.
//! - `commands`: `run`, dry runs, `check`, `doctor`, `rebuild`, `verify`, `runs`, `dead-letters` and `move`.
//! - `sync`: work that needs both PostgreSQL and Kafka, such as publishing decisions.
//! - `store`: PostgreSQL. `kafka`: Kafka. Neither imports the other.
//! - `decode`: turns a record into a row.
//! - `model`: types that the other layers share, such as records, batches and positions.
//! - `config`: plain configuration structs.
//!
//! Beside them, `probe` is what benches and fuzz targets call. `properties` are the property tests; they are in `src`, because
//! they use private items.

pub mod cli;
#[doc(hidden)]
pub mod probe;

mod commands;
mod config;
mod decode;
mod kafka;
mod model;
#[cfg(test)]
mod properties;
mod store;
mod sync;
