//! The command line, and which command it starts.

use catalog_shared::rights;
use catalog_shared::shutdown;
use catalog_shared::telemetry::{Log, LogFormat};
use clap::{Parser, Subcommand};

use crate::commands::dead_letters::{self, DeadLettersArgs};
use crate::commands::dry_run;
use crate::commands::move_tables::{self, MoveArgs};
use crate::commands::rebuild::{self, RebuildArgs};
use crate::commands::run::{self, RunArgs};
use crate::commands::runs::{self, RunsCommand};
use crate::commands::verify::{self, VerifyArgs};
use crate::config::DatabaseArgs;
use crate::store::database;

/// Keeps a PostgreSQL copy of the catalog that the topics hold.
#[derive(Parser, Debug)]
#[command(version, max_term_width = 100, args_override_self = true)]
pub struct Cli {
    /// How log lines on standard error are written
    #[arg(
        long,
        env = "CATALOG_LOG_FORMAT",
        value_enum,
        ignore_case = true,
        default_value = "auto",
        global = true
    )]
    pub log_format: LogFormat,

    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the program can do.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Makes the schema and its tables, or brings them up to this build
    Migrate(DatabaseArgs),
    /// Applies records to the tables as a member of the group
    Run(Box<RunArgs>),
    /// Reads the topics from the beginning and makes the tables equal to what they give
    Rebuild(Box<RebuildArgs>),
    /// Looks for what is wrong in the tables
    Verify(Box<VerifyArgs>),
    /// Lets the tables go on from another Kafka cluster, or from a topic that was created again
    Move(Box<MoveArgs>),
    /// Shows what could not be applied, tries it again, or puts it aside
    DeadLetters(DeadLettersArgs),
    /// Shows what became of the runs, and decides those on hold
    #[command(subcommand)]
    Runs(RunsCommand),
}

impl Command {
    /// Whether the answer is JSON.
    #[must_use]
    pub const fn answers_in_json(&self) -> bool {
        match self {
            Self::Migrate(_) => false,
            Self::Run(args) => args.json,
            Self::Rebuild(args) => args.json,
            Self::Verify(args) => args.json,
            Self::Move(args) => args.json,
            Self::DeadLetters(args) => args.action.answers_in_json(),
            Self::Runs(command) => command.answers_in_json(),
        }
    }
}

/// Runs a command.
///
/// # Errors
/// What kept the command from its end. Errors of the database are in words.
pub async fn run(command: Command, log: &Log) -> anyhow::Result<()> {
    rights::named(dispatch(command, log).await).map_err(database::with_formatted_text)
}

async fn dispatch(command: Command, log: &Log) -> anyhow::Result<()> {
    log.start()?;
    let shutdown = shutdown::on_signal()?;
    match command {
        Command::Migrate(args) => database::migrate(&args).await,
        Command::DeadLetters(args) => dead_letters::run(args).await,
        Command::Run(args) if args.dry_run => dry_run::run(&args, &shutdown).await,
        Command::Run(args) => run::run(*args, log.terminal(), shutdown).await,
        Command::Rebuild(args) => rebuild::run(&args, &shutdown).await,
        Command::Verify(args) => verify::run(&args, &shutdown).await,
        Command::Move(args) => move_tables::run(&args).await,
        Command::Runs(command) => runs::run(command).await,
    }
}
