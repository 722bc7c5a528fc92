//! The flags of `doctor`.

use std::time::Duration;

use catalog_shared::duration;
use catalog_shared::kafka::KafkaArgs;
use clap::Args;

use crate::config::api::ApiArgs;

/// The configuration of `doctor`.
#[derive(Args, Debug)]
pub struct DoctorArgs {
    /// The API.
    #[command(flatten)]
    pub api: ApiArgs,

    /// Time limit of each group of checks
    #[arg(long, env = "CATALOG_DOCTOR_TIMEOUT", default_value = "50s", value_name = "DURATION", value_parser = duration::at_least_a_second)]
    pub timeout: Duration,

    /// Print the findings as one JSON object
    #[arg(long)]
    pub json: bool,

    /// The Kafka cluster.
    #[command(flatten)]
    pub kafka: KafkaArgs,
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
        assert!(Line::parse_from(["doctor", "--region", "us"]).args.timeout < MAX_DEFAULT_TIMEOUT);
    }
}
