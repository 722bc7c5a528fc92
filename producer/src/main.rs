//! `catalog-producer`: crawls one region of the Socrata Discovery API into Kafka.

use std::process::ExitCode;

use catalog_producer::cli::{Cli, Command};
use catalog_producer::crawl;
use catalog_shared::{exit, shutdown, telemetry};
use clap::Parser;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    telemetry::start(cli.log_format);
    exit::report(run(cli).await)
}

async fn run(cli: Cli) -> anyhow::Result<()> {
    let shutdown = shutdown::on_signal()?;
    match cli.command {
        Command::Crawl(args) => crawl::run(*args, shutdown).await,
    }
}
