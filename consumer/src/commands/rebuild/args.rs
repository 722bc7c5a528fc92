//! The command lines of `rebuild` and of what else reads the topics from their beginning.

use catalog_shared::kafka::KafkaArgs;
use clap::Args;

use crate::config::{ApplyArgs, DatabaseArgs};

/// How to rebuild.
#[derive(Args, Debug)]
pub struct RebuildArgs {
    /// Brings the tables up to this build first
    #[arg(long)]
    pub migrate: bool,

    /// Deletes rows beyond the limits: more than --max-retire-share of a region, or half of a domain of 20 or more
    #[arg(long)]
    pub force: bool,

    /// Ends with one JSON object on standard output in place of text
    #[arg(long)]
    pub json: bool,

    /// How to read the topics.
    #[command(flatten)]
    pub source: TopicsArgs,
}

/// How to read the topics from the beginning, beside the consumers.
#[derive(Args, Debug)]
pub struct TopicsArgs {
    /// Goes on although topics have lost their first records; rows that only those could speak of stay as they are
    #[arg(long)]
    pub accept_loss: bool,

    /// How batches are applied. Runs are judged in a new database only, where the verdicts topic is silent.
    #[command(flatten)]
    pub apply: ApplyArgs,

    /// Where Kafka is.
    #[command(flatten)]
    pub kafka: KafkaArgs,

    /// Where the tables are.
    #[command(flatten)]
    pub database: DatabaseArgs,
}
