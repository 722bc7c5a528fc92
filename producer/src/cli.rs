//! The command line.

use catalog_shared::shutdown;
use catalog_shared::telemetry::{Log, LogFormat};
use clap::{Parser, Subcommand};

use crate::config::{CrawlArgs, StatusArgs};
use crate::{crawl, status};

/// Crawls the Socrata Discovery API of one region and publishes its catalog to Kafka.
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
    /// Crawls a region's catalog, whole or in part; an interrupted run is resumed where it stopped
    Crawl(Box<CrawlArgs>),

    /// Tells the last runs of each region, their states, and where the cursor stands
    Status(StatusArgs),
}

impl Command {
    /// Whether the answer is JSON.
    #[must_use]
    pub const fn answers_in_json(&self) -> bool {
        match self {
            Self::Crawl(args) => args.json,
            Self::Status(args) => args.json,
        }
    }
}

impl Cli {
    /// Runs the command until it ends or a signal asks it to stop.
    ///
    /// # Errors
    /// [`catalog_shared::exit::Stop`] for what has an exit code of its own; else what went wrong.
    pub async fn run(self, log: &Log) -> anyhow::Result<()> {
        log.start()?;
        let shutdown = shutdown::on_signal()?;
        match self.command {
            Command::Crawl(args) => crawl::run(*args, log.screen(), shutdown).await,
            Command::Status(args) => status::run(&args).await,
        }
    }
}
