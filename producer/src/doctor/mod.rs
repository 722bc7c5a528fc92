//! `doctor`: examines the configuration, Kafka and the API side by side, and names the next command for each problem.

use std::time::Duration;

use anyhow::bail;
use catalog_shared::doctor::{Finding, Group, Report, examine};
use catalog_shared::exit::Stop;
use catalog_shared::kafka_doctor::{self, Side, check_brokers};
use catalog_shared::rights;
use catalog_shared::shutdown::CancellationToken;

use crate::api::client::sent_token;
use crate::config::{DoctorArgs, RateLimit};

mod api;
mod checks;
mod headers;
mod kafka;
mod next;
mod rules;
mod speed;

/// Examines everything and prints a report.
///
/// # Errors
/// If there is a problem (exit code 1).
pub(crate) async fn run(args: &DoctorArgs, shutdown: &CancellationToken) -> anyhow::Result<()> {
    let report: Report = tokio::select! {
        report = examine(groups(args), args.timeout) => report,
        () = shutdown.cancelled() => bail!(Stop::Interrupted("the examination is incomplete".to_owned())),
    };
    report.print(args.json)
}

/// The timeout of requests to Kafka. The time limit of a group is meant for the API, which is asked slowly.
const KAFKA_TIMEOUT: Duration = Duration::from_secs(15);

fn groups(args: &DoctorArgs) -> Vec<Group> {
    let limit = args.timeout.min(KAFKA_TIMEOUT);
    let configuration = configuration(args);
    let target = args.api.url().map(|url| api::ApiTarget {
        region: args.api.region,
        url,
        token: args.api.app_token.clone(),
        rate: args.api.rate,
        limit: args.timeout,
    });
    let brokers = || check_brokers(&args.kafka);
    let kafka = || args.kafka.clone();
    let (for_brokers, for_topics, for_transactions, for_cursor) = (kafka(), kafka(), kafka(), kafka());
    let region = args.api.region;
    let retry = format!("catalog-producer doctor --region {region} --timeout 5m  # again, with more time");
    vec![
        Group::new("configuration", "catalog-producer crawl --help", move || async move {
            Ok(vec![Finding::ok("configuration", configuration?)])
        }),
        Group::new("api", retry, move || async move { api::examine(&target?).await }),
        Group::new("brokers", brokers(), move || kafka_doctor::brokers(for_brokers, limit)),
        Group::new("topics", brokers(), move || async move {
            rights::named(kafka_doctor::topics(for_topics, Side::Producer, limit).await)
        }),
        Group::new("transactions", brokers(), move || kafka::transactions(for_transactions, limit)),
        Group::new("cursor", brokers(), move || kafka::cursor(for_cursor, region)),
        Group::new("not_checked", "", || async { Ok(vec![not_checked()]) }),
    ]
}

/// The configuration in effect, without secrets.
fn configuration(args: &DoctorArgs) -> Result<String, Stop> {
    let rate = match args.api.rate {
        RateLimit::Unlimited => "no rate limit".to_owned(),
        RateLimit::PerSecond(rate) => format!("{rate} requests per second"),
    };
    let has_token = sent_token(args.api.app_token.as_ref()).is_some();
    let token = if has_token { "an app token" } else { "no app token" };
    let kafka = kafka_doctor::configuration(&args.kafka)?;
    Ok(format!("region {}, API {}, {rate}, {token}; {kafka}", args.api.region, args.api.url()?))
}

fn not_checked() -> Finding {
    Finding::skipped(
        "not_checked",
        "the right WRITE on the topics, because only a record shows it; the clocks of the brokers and the disk space of \
         topics, because librdkafka has no request for them (kafka-log-dirs.sh --describe shows the disk space)",
    )
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: DoctorArgs,
    }

    #[test]
    fn an_empty_token_is_none() {
        let shown = |token| {
            let line = ["doctor", "--region", "us", "--app-token", token];
            configuration(&Line::try_parse_from(line).unwrap().args).unwrap()
        };
        assert!(shown("").contains(", no app token;"));
        assert!(shown("secret").contains(", an app token;"));
    }
}
