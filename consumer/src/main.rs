//! `catalog-consumer`: keeps a PostgreSQL copy of the catalog in the Kafka topics.

use std::process::ExitCode;

use catalog_consumer::cli::{self, Cli};
use catalog_shared::telemetry::Log;
use catalog_shared::{command_line, exit};

#[tokio::main]
async fn main() -> ExitCode {
    let cli: Cli = command_line::parse();
    let (log, json) = (Log::open(cli.log_format), cli.command.prints_json());
    let result = cli::run(cli.command, &log).await;
    exit::report(result, json, &log)
}
