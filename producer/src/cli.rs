//! The command line.

use catalog_shared::command_files::{self, CompletionsArgs, ManArgs};
use catalog_shared::settings::Settings;
use catalog_shared::shutdown;
use catalog_shared::telemetry::{Log, LogArgs};
use catalog_shared::version;
use clap::{CommandFactory, Parser, Subcommand};

use crate::config::{CrawlArgs, DoctorArgs, StatusArgs};
use crate::{crawl, doctor, status};

/// Crawl the Socrata Discovery API of one region and publish its catalog to Kafka.
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
    /// Crawl a region's catalog or a part of it; resumes an interrupted run
    Crawl(Box<CrawlArgs>),

    /// Show the cursor and the last runs of each region
    Status(StatusArgs),

    /// Examine the configuration, Kafka and the API with a dozen requests; exits 1 if there is a problem
    Doctor(Box<DoctorArgs>),

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
            Self::Crawl(args) => args.json,
            Self::Status(args) => args.json,
            Self::Doctor(args) => args.json,
            Self::Completions(_) | Self::Man(_) => false,
        }
    }
}

impl Cli {
    /// Runs the command until it ends or a signal asks it to stop.
    ///
    /// # Errors
    /// [`catalog_shared::exit::Stop`] for errors with their own exit code, otherwise the cause.
    pub async fn run(self, settings: &Settings, log: &Log) -> anyhow::Result<()> {
        log.start()?;
        let shutdown = shutdown::on_signal()?;
        match self.command {
            Command::Crawl(args) => {
                settings.log(&args.kafka, None, Some(args.api.url()?.as_str()))?;
                crawl::run(*args, log.terminal(), shutdown).await
            }
            Command::Doctor(args) => doctor::run(&args, &shutdown).await,
            Command::Status(args) => status::run(&args, &shutdown).await,
            Command::Completions(args) => command_files::print_completions(Self::command(), &args),
            Command::Man(args) => command_files::write_man_pages(Self::command(), &args),
        }
    }
}
