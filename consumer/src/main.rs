//! `catalog-consumer`: keeps a PostgreSQL copy of the catalog that the topics hold.

use std::process::ExitCode;

use catalog_consumer::cli::{Cli, Command};
use catalog_consumer::{consume, database, dead_letters, moving, rebuild, runs, verify};
use catalog_shared::{command_line, exit, rights, shutdown, telemetry};

#[tokio::main]
async fn main() -> ExitCode {
    let cli: Cli = command_line::parse();
    exit::report(rights::named(run(cli).await).map_err(database::retell))
}

async fn run(cli: Cli) -> anyhow::Result<()> {
    telemetry::start(cli.log_format)?;
    let shutdown = shutdown::on_signal()?;
    match cli.command {
        Command::Migrate(args) => database::migrate(&args).await,
        Command::DeadLetters(args) => dead_letters::run(args).await,
        Command::Run(args) => consume::run(*args, shutdown).await,
        Command::Rebuild(args) => rebuild::run(&args, &shutdown).await,
        Command::Verify(args) => verify::run(&args, &shutdown).await,
        Command::Move(args) => moving::run(&args).await,
        Command::Runs(command) => runs::run(command).await,
    }
}
