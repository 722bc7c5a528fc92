//! The command line of `runs`.

use catalog_shared::kafka::KafkaArgs;
use catalog_shared::region::Region;
use clap::{Args, Subcommand};

use crate::config::DatabaseArgs;

/// What can be done with runs.
#[derive(Subcommand, Debug)]
pub enum RunsCommand {
    /// Lists the runs, the newest first
    List(ListArgs),
    /// Shows one run, and what it would retire if it were released or its shields were lifted
    Show(ShowArgs),
    /// Accepts a run on hold: what it did not see is retired, except in the domains that it shields
    Release(ReleaseArgs),
    /// Declines a run on hold: it retires nothing
    Reject(DecideArgs),
    /// Drops what was decided about a run: a released run is on hold again, lifted shields are back
    Undo(DecideArgs),
}

impl RunsCommand {
    /// Whether the answer is JSON.
    #[must_use]
    pub const fn answers_in_json(&self) -> bool {
        match self {
            Self::List(args) => args.json,
            Self::Show(args) => args.json,
            Self::Release(args) => args.decision.json,
            Self::Reject(args) | Self::Undo(args) => args.json,
        }
    }
}

/// Which runs to list.
#[derive(Args, Debug)]
pub struct ListArgs {
    /// Only this region's
    #[arg(long, value_enum, ignore_case = true)]
    pub region: Option<Region>,

    /// Prints a JSON list in place of text
    #[arg(long)]
    pub json: bool,

    /// Where the tables are.
    #[command(flatten)]
    pub database: DatabaseArgs,
}

/// Which run to show.
#[derive(Args, Debug)]
pub struct ShowArgs {
    /// The run's number
    #[arg(value_name = "N")]
    pub run: u32,

    /// The run's region; needed only if several regions have a run of this number
    #[arg(long, value_enum, ignore_case = true)]
    pub region: Option<Region>,

    /// Prints one JSON object, with every dataset by name, in place of text
    #[arg(long)]
    pub json: bool,

    /// Where the tables are.
    #[command(flatten)]
    pub database: DatabaseArgs,
}

/// The run to release.
#[derive(Args, Debug)]
pub struct ReleaseArgs {
    /// A domain whose shield is lifted, repeatable; such a run may be accepted already
    #[arg(long = "domain", value_name = "HOST")]
    pub domains: Vec<String>,

    /// Which run.
    #[command(flatten)]
    pub decision: DecideArgs,
}

/// The run to decide.
#[derive(Args, Debug)]
pub struct DecideArgs {
    /// The run's region
    #[arg(long, value_enum, ignore_case = true)]
    pub region: Region,

    /// The run's number
    #[arg(long, value_name = "N")]
    pub run: u32,

    /// Decides without asking; needed where no terminal can answer
    #[arg(long)]
    pub yes: bool,

    /// Prints one JSON object in place of text
    #[arg(long)]
    pub json: bool,

    /// Where Kafka is: the decision is published there.
    #[command(flatten)]
    pub kafka: KafkaArgs,

    /// Where the tables are.
    #[command(flatten)]
    pub database: DatabaseArgs,
}
