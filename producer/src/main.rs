//! `catalog-producer`: crawls one region of the Socrata Discovery API into Kafka.

use std::process::ExitCode;

use catalog_producer::cli::Cli;
use catalog_shared::command_line::{self, Parsed};
use catalog_shared::telemetry::Log;
use catalog_shared::{exit, rights, runtime};

fn main() -> ExitCode {
    runtime::run(program())
}

async fn program() -> ExitCode {
    let Parsed { cli, settings } = command_line::parse::<Cli>();
    let (log, json) = (Log::open(cli.log.log_format), cli.command.prints_json());
    exit::report(rights::named(cli.run(&settings, &log).await), json, &log)
}
