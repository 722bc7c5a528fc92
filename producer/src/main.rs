//! `catalog-producer`: crawls one region of the Socrata Discovery API into Kafka.

use std::process::ExitCode;

use catalog_producer::cli::{Cli, Command};
use catalog_producer::crawl;
use catalog_producer::report::screen::Screen;
use catalog_producer::report::status;
use catalog_shared::{command_line, exit, rights, shutdown, telemetry};

#[tokio::main]
async fn main() -> ExitCode {
    let cli: Cli = command_line::parse();
    let screen = Screen::new(cli.log_format);
    exit::report(rights::named(run(cli, &screen).await))
}

async fn run(cli: Cli, screen: &Screen) -> anyhow::Result<()> {
    telemetry::start_on(cli.log_format, screen.clone())?;
    let shutdown = shutdown::on_signal()?;
    match cli.command {
        Command::Crawl(args) => crawl::run(*args, screen, shutdown).await,
        Command::Status(args) => status::run(&args).await,
    }
}
