//! The arguments of `run`.

use catalog_shared::kafka::KafkaArgs;
use clap::Args;

use crate::config::{ApplyArgs, DatabaseArgs};

/// How to apply.
#[derive(Args, Debug)]
pub struct RunArgs {
    /// Ends once every partition is applied as far as it reached at the start
    #[arg(long)]
    pub until_caught_up: bool,

    /// Brings the tables up to this build first
    #[arg(long)]
    pub migrate: bool,

    /// Reads what would be applied and tells what would become of it, without writing anything or joining the
    /// group
    #[arg(long, conflicts_with = "migrate")]
    pub dry_run: bool,

    /// Fills new tables although topics have lost their first records
    #[arg(long)]
    pub accept_loss: bool,

    /// The consumer group
    #[arg(long, env = "CATALOG_GROUP", default_value = "catalog-consumer")]
    pub group: String,

    /// Ends with one JSON object on standard output in place of text
    #[arg(long)]
    pub json: bool,

    /// How batches are applied.
    #[command(flatten)]
    pub apply: ApplyArgs,

    /// Where Kafka is.
    #[command(flatten)]
    pub kafka: KafkaArgs,

    /// Where the tables are.
    #[command(flatten)]
    pub database: DatabaseArgs,
}
