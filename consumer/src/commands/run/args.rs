//! The arguments of `run`.

use std::time::Duration;

use catalog_shared::duration;
use catalog_shared::kafka::KafkaArgs;
use catalog_shared::monitoring::MonitoringArgs;
use catalog_shared::notify::NotifyArgs;
use clap::Args;

use crate::config::{ApplyArgs, DatabaseArgs};

/// The arguments of `run`.
#[derive(Args, Debug)]
pub struct RunArgs {
    /// Exit once every record that the topics contained at the start is applied
    #[arg(long)]
    pub until_caught_up: bool,

    /// Upgrade the tables to this build first
    #[arg(long)]
    pub migrate: bool,

    /// Show what would be applied, without writing anything or joining the group
    #[arg(long, conflicts_with = "migrate")]
    pub dry_run: bool,

    /// Fill new tables even if topics have lost their first records
    #[arg(long)]
    pub accept_loss: bool,

    /// Name of the consumer group
    #[arg(long, env = "CATALOG_GROUP", default_value = "catalog-consumer")]
    pub group: String,

    /// Print the summary as one JSON object
    #[arg(long)]
    pub json: bool,

    /// The webhook.
    #[command(flatten)]
    pub notify: NotifyArgs,

    /// How batches are applied.
    #[command(flatten)]
    pub apply: ApplyArgs,

    /// Monitoring.
    #[command(flatten)]
    pub monitoring: MonitoringArgs,

    /// Time without progress after which /healthz reports a partition as stalled (such as 45s; at least 1s)
    #[arg(long, env = "CATALOG_STALL_TIMEOUT", default_value = "45s", value_parser = duration::at_least_a_second,
          value_name = "DURATION", help_heading = "Monitoring")]
    pub stall_timeout: Duration,

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
        args: RunArgs,
    }

    /// The loop judges its partitions every 100 ms, and the monitoring thread answers at once.
    #[test]
    fn a_stalled_partition_is_reported_within_a_minute() {
        assert!(Line::parse_from(["run"]).args.stall_timeout < MAX_DEFAULT_TIMEOUT);
    }
}
