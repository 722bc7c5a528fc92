//! `catalog-producer`: crawls one region of the Socrata Discovery API into Kafka.

use std::process::ExitCode;

use catalog_producer::cli::Cli;
use catalog_shared::telemetry::Log;
use catalog_shared::{command_line, exit, rights};

#[tokio::main]
async fn main() -> ExitCode {
    let cli: Cli = command_line::parse();
    let (log, json) = (Log::open(cli.log_format), cli.command.answers_in_json());
    exit::report(rights::named(cli.run(&log).await), json, &log)
}
