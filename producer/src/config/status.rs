//! The flags of `status`.

use catalog_shared::kafka::KafkaArgs;
use catalog_shared::region::Region;
use clap::Args;

/// What to tell of.
#[derive(Args, Debug)]
pub struct StatusArgs {
    /// The region to tell of [default: all]
    #[arg(long, env = "CATALOG_REGION", value_enum, ignore_case = true)]
    pub region: Option<Region>,

    /// Answers with one JSON object in place of text
    #[arg(long)]
    pub json: bool,

    /// Where Kafka is.
    #[command(flatten)]
    pub kafka: KafkaArgs,
}
