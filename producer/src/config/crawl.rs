//! The flags of `crawl`.

use std::path::PathBuf;
use std::time::Duration;

use catalog_shared::duration;
use catalog_shared::kafka::KafkaArgs;
use catalog_shared::monitoring::MonitoringArgs;
use catalog_shared::notify::NotifyArgs;
use clap::builder::BoolishValueParser;
use clap::{ArgAction, Args};

use crate::config::api::ApiArgs;
use crate::config::schedule::ScheduleArgs;
use crate::config::scope::ScopeArgs;

/// The configuration of `crawl`.
#[derive(Args, Debug)]
pub struct CrawlArgs {
    /// The API.
    #[command(flatten)]
    pub api: ApiArgs,

    /// Whether to publish datasets in addition to domains, hosts and agencies: true or false
    #[arg(long, env = "CATALOG_DATASETS", default_value_t = true, default_missing_value = "true",
          num_args = 0..=1, action = ArgAction::Set, value_parser = BoolishValueParser::new(), value_name = "BOOL")]
    pub datasets: bool,

    /// Discard the interrupted run and start a new one
    #[arg(long)]
    pub restart: bool,

    /// Fetch, check and count everything without writing, and print what would have been published
    #[arg(long, conflicts_with_all = ["restart", "first_run"])]
    pub dry_run: bool,

    /// Number of concurrent lanes (ranges of ids), 1 to 64
    #[arg(long, env = "CATALOG_CONCURRENCY", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub concurrency: u16,

    /// Assets per page, 2 to 10000 (the API's limit)
    #[arg(long, env = "CATALOG_PAGE_SIZE", default_value_t = 1000, value_parser = clap::value_parser!(u16).range(2..=10_000))]
    pub page_size: u16,

    /// How long to retry a failing request before the run stops (such as 90s, 10m, 1h; a plain number is seconds)
    #[arg(long, env = "CATALOG_RETRY_FOR", default_value = "10m", value_parser = duration::parse, value_name = "DURATION")]
    pub retry_for: Duration,

    /// Timeout after which a request without data is retried (such as 30s; at least 1s)
    #[arg(long, env = "CATALOG_TIMEOUT", default_value = "30s", value_parser = duration::at_least_a_second, value_name = "DURATION")]
    pub timeout: Duration,

    /// How long to wait for Kafka at the start if it is unreachable (such as 30s) [default: forever]
    #[arg(long, env = "CATALOG_WAIT_FOR_KAFKA", value_parser = duration::parse, value_name = "DURATION")]
    pub wait_for_kafka: Option<Duration>,

    /// Maximum size of a response (such as 128MiB); a larger page is requested in parts
    #[arg(long, env = "CATALOG_MAX_PAGE_BYTES", default_value = "128MiB", value_parser = bytes, value_name = "BYTES")]
    pub max_page_bytes: u64,

    /// Minimum number of a new run, if the region's cursor was lost but its tables were not
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub first_run: u32,

    /// Record each exchange with the API as a file in this folder, without secrets (docs/reference/recordings.md)
    #[arg(long, value_name = "DIR")]
    pub record: Option<PathBuf>,

    /// Partitions of the datasets topic if it has to be created, 1 to 1000
    #[arg(long, env = "CATALOG_PARTITIONS", default_value_t = 6, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub partitions: u16,

    /// Print the summary as one JSON object
    #[arg(long)]
    pub json: bool,

    /// The webhook.
    #[command(flatten)]
    pub notify: NotifyArgs,

    /// Monitoring.
    #[command(flatten)]
    pub monitoring: MonitoringArgs,

    /// Which part of the catalog to crawl.
    #[command(flatten)]
    pub scope: ScopeArgs,

    /// When to crawl again.
    #[command(flatten)]
    pub schedule: ScheduleArgs,

    /// The Kafka cluster.
    #[command(flatten)]
    pub kafka: KafkaArgs,
}

fn bytes(text: &str) -> Result<u64, &'static str> {
    let unit = ["KiB", "MiB", "GiB"].into_iter().zip(1..).find(|(unit, _)| text.ends_with(unit));
    let (number, scale) =
        unit.map_or((text, 1), |(unit, power)| (text.trim_end_matches(unit), 1024_u64.pow(power)));
    let bytes = number.parse::<u64>().ok().and_then(|n| n.checked_mul(scale)).filter(|bytes| *bytes > 0);
    bytes.ok_or("expected a whole number of bytes, KiB, MiB or GiB above 0, such as 128MiB")
}

#[cfg(test)]
pub(crate) mod tests {
    use catalog_shared::region::Region;
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: CrawlArgs,
    }

    pub(crate) fn try_parse(flags: &[&str]) -> Result<CrawlArgs, clap::Error> {
        let line = ["crawl"].iter().chain(flags);
        let line =
            if flags.contains(&"--region") { line.chain(&[][..]) } else { line.chain(&["--region", "us"]) };
        Line::try_parse_from(line).map(|line| line.args)
    }

    /// The configuration that these flags ask for, of the region us unless they name another.
    pub(crate) fn parse(flags: &[&str]) -> CrawlArgs {
        try_parse(flags).unwrap()
    }

    #[test]
    fn numbers_of_bytes_are_parsed_or_refused() {
        assert_eq!(bytes("128MiB"), Ok(128 * 1024 * 1024));
        assert_eq!(bytes("77"), Ok(77));
        assert!(
            ["", "0", "MiB", "1MB", "-1", "1.5KiB", "99999999999GiB"].iter().all(|text| bytes(text).is_err())
        );
    }

    #[test]
    fn datasets_can_be_switched_off() {
        assert!(parse(&[]).datasets);
        assert!(parse(&["--datasets"]).datasets);
        for off in
            [&["--datasets=false"][..], &["--datasets", "false"], &["--datasets", "No"], &["--datasets", "0"]]
        {
            assert!(!parse(off).datasets, "{off:?}");
        }
        assert!(parse(&["--datasets", "--json"]).datasets);
    }

    fn refusal(flags: &[&str]) -> String {
        try_parse(flags).unwrap_err().to_string()
    }

    #[test]
    fn a_duration_is_seconds_or_has_a_unit_and_a_refusal_names_the_flag_with_examples() {
        let seconds = Duration::from_secs;
        assert_eq!(parse(&["--timeout", "30"]).timeout, seconds(30));
        assert_eq!(parse(&["--retry-for", "2h"]).retry_for, seconds(7_200));
        for flags in [["--timeout", "soon"], ["--retry-for", "x"], ["--timeout", "0"]] {
            let error = refusal(&flags);
            assert!(error.contains(flags[0]) && error.contains("30s"), "{error}");
        }
    }

    #[test]
    fn a_region_is_case_insensitive() {
        assert_eq!(parse(&["--region", "US"]).api.region, Region::Us);
        assert_eq!(parse(&["--region", "Eu"]).api.region, Region::Eu);
    }

    #[test]
    fn an_api_url_is_plain_and_a_refusal_does_not_quote_it() {
        let url = |text| parse(&["--api-url", text]).api.url();
        assert_eq!(url("http://h.example/api/").unwrap().as_str(), "http://h.example/api");
        for text in [
            "https://me:hunter2@h.example/",
            "ftp://h.example/hunter2",
            "http://h.example/?t=hunter2",
            "hunter2",
        ] {
            assert!(!url(text).unwrap_err().to_string().contains("hunter2"));
        }
    }
}
