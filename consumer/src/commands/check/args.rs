//! The arguments of `check`.

use std::time::Duration;

use catalog_shared::duration;
use catalog_shared::exit::Stop;
use catalog_shared::kafka::KafkaArgs;
use catalog_shared::region::Region;
use clap::Args;

use super::limits::LimitArgs;
use crate::config::DatabaseArgs;

/// The time limit of a check at the end of another command.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// The arguments of `check`.
#[derive(Args, Debug)]
pub struct CheckArgs {
    /// Check only runs, shields and dead letters of this region; the lag is always that of all topics
    #[arg(long, value_enum, ignore_case = true)]
    pub region: Option<Region>,

    /// Do not read Kafka, so do not check the lag
    #[arg(long, env = "CATALOG_CHECK_DATABASE_ONLY")]
    pub database_only: bool,

    /// Also run the checks of `verify`, which read whole tables
    #[arg(long, env = "CATALOG_CHECK_VERIFY")]
    pub verify: bool,

    /// Time limit for the database, and again for Kafka
    #[arg(long, env = "CATALOG_CHECK_TIMEOUT", default_value = "10s", value_name = "DURATION", value_parser = duration::at_least_a_second)]
    pub timeout: Duration,

    /// Print nothing if all is well, for cron
    #[arg(long)]
    pub quiet: bool,

    /// Print the findings as one JSON object
    #[arg(long)]
    pub json: bool,

    /// The limits.
    #[command(flatten)]
    pub limits: LimitArgs,

    /// The Kafka cluster.
    #[command(flatten)]
    pub kafka: KafkaArgs,

    /// The database.
    #[command(flatten)]
    pub database: DatabaseArgs,
}

impl CheckArgs {
    /// The arguments of a check without flags, whose limits are those of the environment.
    ///
    /// # Errors
    /// [`Stop::Usage`] for an invalid limit in the environment.
    pub(crate) fn from_environment(kafka: &KafkaArgs, database: &DatabaseArgs) -> Result<Self, Stop> {
        Ok(Self {
            region: None,
            database_only: false,
            verify: false,
            timeout: DEFAULT_TIMEOUT,
            quiet: false,
            json: false,
            limits: LimitArgs::from_environment()?,
            kafka: kafka.clone(),
            database: database.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use catalog_shared::doctor::MAX_DEFAULT_TIMEOUT;
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: CheckArgs,
    }

    /// The database comes first, then Kafka. Only the checks of `verify` have no limit.
    #[test]
    fn a_report_comes_within_a_minute() {
        assert!(2 * Line::parse_from(["check"]).args.timeout < MAX_DEFAULT_TIMEOUT);
    }
}
