//! The arguments of `rebuild`, and those that `verify` shares with it.

use catalog_shared::kafka::KafkaArgs;
use clap::Args;

use crate::config::{ApplyArgs, DatabaseArgs};

/// The arguments of `rebuild`.
#[derive(Args, Debug)]
pub struct RebuildArgs {
    /// Upgrade the tables to this build first
    #[arg(long)]
    pub migrate: bool,

    /// Delete rows beyond the thresholds: more than --max-retire-share of a region, or half of a domain with 20 or more
    #[arg(long)]
    pub force: bool,

    /// Print the report as one JSON object
    #[arg(long)]
    pub json: bool,

    /// The topics and the database.
    #[command(flatten)]
    pub source: ReplaySourceArgs,
}

/// The arguments of commands that replay the topics from the beginning.
#[derive(Args, Debug)]
pub struct ReplaySourceArgs {
    /// Continue even if topics have lost their first records; rows that came only from those stay as they are
    #[arg(long)]
    pub accept_loss: bool,

    /// How batches are applied. `max_retire_share` also limits what a rebuild may delete. Otherwise the run thresholds apply
    /// only in a new database, to runs without a published decision.
    #[command(flatten)]
    pub apply: ApplyArgs,

    /// The Kafka cluster.
    #[command(flatten)]
    pub kafka: KafkaArgs,

    /// The database.
    #[command(flatten)]
    pub database: DatabaseArgs,
}
