//! `catalog-producer`: crawls one region of the Socrata Discovery API into Kafka.

use std::process::ExitCode;

use catalog_producer::cli::{Cli, Command};
use catalog_producer::crawl;
use catalog_shared::{command_line, exit, shutdown, telemetry};

#[tokio::main]
async fn main() -> ExitCode {
    let cli: Cli = command_line::parse();
    telemetry::start(cli.log_format);
    exit::report(run(cli).await)
}

async fn run(cli: Cli) -> anyhow::Result<()> {
    let shutdown = shutdown::on_signal()?;
    match cli.command {
        Command::Crawl(args) => crawl::run(*args, shutdown).await,
    }
}
