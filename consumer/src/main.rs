//! `catalog-consumer`: keeps a PostgreSQL copy of the catalog that the topics hold.

use std::process::ExitCode;

use catalog_consumer::cli::{Cli, Command};
use catalog_consumer::{consume, database, dead_letters, moving, rebuild, runs, verify};
use catalog_shared::telemetry::Log;
use catalog_shared::{command_line, exit, rights, shutdown};

#[tokio::main]
async fn main() -> ExitCode {
    let cli: Cli = command_line::parse();
    let (log, json) = (Log::open(cli.log_format), cli.command.answers_in_json());
    let ended = rights::named(run(cli.command, &log).await).map_err(database::retell);
    exit::report(ended, json, &log)
}

async fn run(command: Command, log: &Log) -> anyhow::Result<()> {
    log.start()?;
    let shutdown = shutdown::on_signal()?;
    match command {
        Command::Migrate(args) => database::migrate(&args).await,
        Command::DeadLetters(args) => dead_letters::run(args).await,
        Command::Run(args) => consume::run(*args, log.screen(), shutdown).await,
        Command::Rebuild(args) => rebuild::run(&args, &shutdown).await,
        Command::Verify(args) => verify::run(&args, &shutdown).await,
        Command::Move(args) => moving::run(&args).await,
        Command::Runs(command) => runs::run(command).await,
    }
}
