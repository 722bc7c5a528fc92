//! The flags of `doctor`.

use std::time::Duration;

use catalog_shared::duration;
use catalog_shared::exit::Stop;
use catalog_shared::kafka::KafkaArgs;
use catalog_shared::region::Region;
use clap::Args;
use reqwest::Url;
use secrecy::SecretString;

use crate::config::crawl::{Rate, plain_url};

/// The configuration of `doctor`.
#[derive(Args, Debug)]
pub struct DoctorArgs {
    /// The region whose API is examined
    #[arg(long, env = "CATALOG_REGION", value_enum, ignore_case = true)]
    pub region: Region,

    /// Requests per second, 0.001 to 1000000, or `none` for no limit
    #[arg(long, env = "CATALOG_RATE", default_value = "2")]
    pub rate: Rate,

    /// The catalog's URL, for tests and mirrors [default: that of the region]
    #[arg(long, env = "CATALOG_API_URL", hide_env_values = true, value_name = "URL")]
    pub api_url: Option<String>,

    /// A Socrata app token; requests with one are not throttled together with anonymous clients
    #[arg(long, env = "SOCRATA_APP_TOKEN", hide_env_values = true)]
    pub app_token: Option<SecretString>,

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

impl DoctorArgs {
    /// The catalog's URL.
    ///
    /// # Errors
    /// As [`plain_url`].
    pub(crate) fn api_url(&self) -> Result<Url, Stop> {
        plain_url(self.api_url.as_deref().unwrap_or_else(|| self.region.api_url()))
    }
}

#[cfg(test)]
mod tests {
    use catalog_shared::doctor::LONGEST;
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
        assert!(Line::parse_from(["doctor", "--region", "us"]).args.timeout < LONGEST);
    }
}
