//! `catalog-producer`: crawls one region of the Socrata Discovery API into Kafka.

use std::process::ExitCode;

use catalog_producer::cli::{Cli, Command};
use catalog_producer::crawl;
use catalog_producer::report::status;
use catalog_shared::telemetry::Log;
use catalog_shared::{command_line, exit, rights, shutdown};

#[tokio::main]
async fn main() -> ExitCode {
    let cli: Cli = command_line::parse();
    let (log, json) = (Log::open(cli.log_format), cli.command.answers_in_json());
    exit::report(rights::named(run(cli.command, &log).await), json, &log)
}

async fn run(command: Command, log: &Log) -> anyhow::Result<()> {
    log.start()?;
    let shutdown = shutdown::on_signal()?;
    match command {
        Command::Crawl(args) => crawl::run(*args, log.screen(), shutdown).await,
        Command::Status(args) => status::run(&args).await,
    }
}
