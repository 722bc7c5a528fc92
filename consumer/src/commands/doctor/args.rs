//! The arguments of `doctor`.

use std::time::Duration;

use catalog_shared::duration;
use catalog_shared::kafka::KafkaArgs;
use clap::Args;

use crate::config::DatabaseArgs;

/// The arguments of `doctor`.
#[derive(Args, Debug)]
pub struct DoctorArgs {
    /// Name of the consumer group
    #[arg(long, env = "CATALOG_GROUP", default_value = "catalog-consumer")]
    pub group: String,

    /// Batches that `run` applies concurrently, each over its own connection, 1 to 64
    #[arg(long, env = "CATALOG_CONNECTIONS", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub connections: u16,

    /// Time limit of each group of checks
    #[arg(long, env = "CATALOG_DOCTOR_TIMEOUT", default_value = "20s", value_name = "DURATION", value_parser = duration::at_least_a_second)]
    pub timeout: Duration,

    /// Print the findings as one JSON object
    #[arg(long)]
    pub json: bool,

    /// The Kafka cluster.
    #[command(flatten)]
    pub kafka: KafkaArgs,

    /// The database.
    #[command(flatten)]
    pub database: DatabaseArgs,
}

#[cfg(test)]
mod tests {
    use catalog_shared::doctor::MAX_DEFAULT_TIMEOUT;
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: DoctorArgs,
    }

    /// The groups run side by side, so the whole takes as long as the limit of one.
    #[test]
    fn a_report_comes_within_a_minute() {
        assert!(Line::parse_from(["doctor"]).args.timeout < MAX_DEFAULT_TIMEOUT);
    }
}
