//! The flags of `status`.

use catalog_shared::kafka::KafkaArgs;
use catalog_shared::region::Region;
use clap::Args;

/// The configuration of `status`.
#[derive(Args, Debug)]
pub struct StatusArgs {
    /// The region to show [default: all]
    #[arg(long, env = "CATALOG_REGION", value_enum, ignore_case = true)]
    pub region: Option<Region>,

    /// Print the answer as one JSON object
    #[arg(long)]
    pub json: bool,

    /// The Kafka cluster.
    #[command(flatten)]
    pub kafka: KafkaArgs,
}
