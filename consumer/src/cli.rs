//! The command line, and the command that it starts.

use anyhow::bail;
use catalog_shared::command_files::{self, CompletionsArgs, ManArgs};
use catalog_shared::exit::Stop;
use catalog_shared::rights;
use catalog_shared::settings::Settings;
use catalog_shared::shutdown::{self, CancellationToken};
use catalog_shared::telemetry::{Log, LogArgs};
use catalog_shared::version;
use clap::{CommandFactory, Parser, Subcommand};

use crate::commands::check::{self, CheckArgs};
use crate::commands::dead_letters::{self, DeadLettersArgs};
use crate::commands::doctor::{self, DoctorArgs};
use crate::commands::dry_run;
use crate::commands::move_tables::{self, MoveArgs};
use crate::commands::rebuild::{self, RebuildArgs};
use crate::commands::run::{self, RunArgs};
use crate::commands::runs::{self, RunsCommand};
use crate::commands::verify::{self, VerifyArgs};
use crate::config::DatabaseArgs;
use crate::store::database;

/// Apply the catalog from Kafka to PostgreSQL.
#[derive(Parser, Debug)]
#[command(
    version,
    long_version = version::long(),
    propagate_version = true,
    max_term_width = 100,
    args_override_self = true
)]
pub struct Cli {
    /// The flag of the log.
    #[command(flatten)]
    pub log: LogArgs,

    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Create the schema and its tables, or upgrade them to this build
    Migrate(DatabaseArgs),
    /// Apply records to the tables as a member of the consumer group
    Run(Box<RunArgs>),
    /// Read the topics from the beginning and repair the rows that differ from them
    Rebuild(Box<RebuildArgs>),
    /// Compare freshness, lag, runs and dead letters with limits; exits 1 for a warning, 2 if critical, 3 if unknown
    Check(Box<CheckArgs>),
    /// Examine the configuration, Kafka and the database; exits 1 if there is a problem
    Doctor(Box<DoctorArgs>),
    /// Check the tables for errors
    Verify(Box<VerifyArgs>),
    /// Move the tables to another Kafka cluster, or to a topic that was deleted and created again
    Move(Box<MoveArgs>),
    /// List, replay, discard and prune records that could not be applied
    DeadLetters(DeadLettersArgs),
    /// List runs, and approve or decline runs on hold
    #[command(subcommand)]
    Runs(RunsCommand),
    /// Print a script that completes the commands and flags of this program in a shell
    Completions(CompletionsArgs),
    /// Write man pages of this program and its commands into a folder
    Man(ManArgs),
}

impl Command {
    /// Whether the output is JSON.
    #[must_use]
    pub const fn prints_json(&self) -> bool {
        match self {
            Self::Migrate(_) | Self::Completions(_) | Self::Man(_) => false,
            Self::Run(args) => args.json,
            Self::Rebuild(args) => args.json,
            Self::Check(args) => args.json,
            Self::Doctor(args) => args.json,
            Self::Verify(args) => args.json,
            Self::Move(args) => args.json,
            Self::DeadLetters(args) => args.command.prints_json(),
            Self::Runs(command) => command.prints_json(),
        }
    }
}

/// Runs a command.
///
/// # Errors
/// The error that ended the command. Database errors are rendered for people.
pub async fn run(command: Command, settings: &Settings, log: &Log) -> anyhow::Result<()> {
    rights::named(dispatch(command, settings, log).await).map_err(database::with_formatted_text)
}

async fn dispatch(command: Command, settings: &Settings, log: &Log) -> anyhow::Result<()> {
    log.start()?;
    log_settings(&command, settings)?;
    let shutdown = shutdown::on_signal()?;
    match command {
        Command::Migrate(args) => migrate(&args, &shutdown).await,
        Command::DeadLetters(args) => dead_letters::run(args, &shutdown).await,
        Command::Run(args) if args.dry_run => dry_run::run(&args, &shutdown).await,
        Command::Run(args) => run::run(*args, log.terminal(), shutdown).await,
        Command::Rebuild(args) => rebuild::run(&args, &shutdown).await,
        Command::Check(args) => check::run(&args, &shutdown).await,
        Command::Doctor(args) => doctor::run(&args, &shutdown).await,
        Command::Verify(args) => verify::run(&args, &shutdown).await,
        Command::Move(args) => move_tables::run(&args).await,
        Command::Runs(command) => runs::run(command, &shutdown).await,
        Command::Completions(args) => command_files::print_completions(Cli::command(), &args),
        Command::Man(args) => command_files::write_man_pages(Cli::command(), &args),
    }
}

async fn migrate(args: &DatabaseArgs, shutdown: &CancellationToken) -> anyhow::Result<()> {
    tokio::select! {
        migrated = database::migrate(args) => migrated,
        // Dropping the future rolls the migration in progress back.
        () = shutdown.cancelled() => {
            bail!(Stop::Interrupted("each migration is applied completely or not at all".to_owned()))
        }
    }
}

/// Logs the settings of the commands that run for long.
fn log_settings(command: &Command, settings: &Settings) -> anyhow::Result<()> {
    let (kafka, args) = match command {
        Command::Run(args) => (&args.kafka, &args.database),
        Command::Rebuild(args) => (&args.source.kafka, &args.source.database),
        _ => return Ok(()),
    };
    Ok(settings.log(kafka, Some(&database::address(args)?), None)?)
}
