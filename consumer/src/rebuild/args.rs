//! The command lines of `rebuild` and of what else reads the topics from their beginning.

use catalog_shared::kafka::KafkaArgs;
use clap::Args;

use crate::cli::{DatabaseArgs, JudgeArgs};

/// How to rebuild.
#[derive(Args, Debug)]
pub struct RebuildArgs {
    /// Brings the tables up to this build first
    #[arg(long)]
    pub migrate: bool,

    /// Ends with one JSON object on standard output in place of text
    #[arg(long)]
    pub json: bool,

    /// How to read the topics.
    #[command(flatten)]
    pub replay: ReplayArgs,
}

/// How to read the topics from the beginning, beside the consumers.
#[derive(Args, Debug)]
pub struct ReplayArgs {
    /// How many batches are applied side by side, each over a connection of its own
    #[arg(long, env = "CATALOG_CONNECTIONS", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub connections: u16,

    /// Records a batch, 1 to 10000
    #[arg(long, env = "CATALOG_BATCH_SIZE", default_value_t = 1000, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub batch_size: u16,

    /// When a run is held, in a new database, of which the verdicts topic says nothing.
    #[command(flatten)]
    pub limits: JudgeArgs,

    /// Where Kafka is.
    #[command(flatten)]
    pub kafka: KafkaArgs,

    /// Where the tables are.
    #[command(flatten)]
    pub database: DatabaseArgs,
}
