//! `catalog-consumer`: applies the catalog from Kafka to PostgreSQL.

use std::process::ExitCode;

use catalog_consumer::cli::{self, Cli};
use catalog_shared::command_line::{self, Parsed};
use catalog_shared::telemetry::Log;
use catalog_shared::{exit, runtime};

fn main() -> ExitCode {
    runtime::run(program())
}

async fn program() -> ExitCode {
    let Parsed { cli, settings } = command_line::parse::<Cli>();
    let (log, json) = (Log::open(cli.log.log_format), cli.command.prints_json());
    let result = cli::run(cli.command, &settings, &log).await;
    exit::report(result, json, &log)
}
