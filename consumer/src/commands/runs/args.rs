//! The command line of `runs`.

use catalog_shared::kafka::KafkaArgs;
use catalog_shared::region::Region;
use clap::{Args, Subcommand};

use crate::config::DatabaseArgs;

/// The actions on runs.
#[derive(Subcommand, Debug)]
pub enum RunsCommand {
    /// List runs, newest first
    List(ListArgs),
    /// Show one run, and what it would retire if it were approved or its shields were lifted
    Show(ShowArgs),
    /// Approve a run on hold: datasets that it did not see are retired, except in shielded domains
    #[command(visible_alias = "release")]
    Approve(ApproveArgs),
    /// Decline a run on hold: it retires nothing
    #[command(visible_alias = "reject")]
    Decline(DecideArgs),
    /// Revert a decision: an approved run is on hold again, and lifted shields apply again
    Undo(DecideArgs),
}

impl RunsCommand {
    /// Whether the output is JSON.
    #[must_use]
    pub const fn prints_json(&self) -> bool {
        match self {
            Self::List(args) => args.json,
            Self::Show(args) => args.json,
            Self::Approve(args) => args.decision.json,
            Self::Decline(args) | Self::Undo(args) => args.json,
        }
    }
}

/// The runs to list.
#[derive(Args, Debug)]
pub struct ListArgs {
    /// Only runs of this region
    #[arg(long, value_enum, ignore_case = true)]
    pub region: Option<Region>,

    /// Print the runs as one JSON list
    #[arg(long)]
    pub json: bool,

    /// The database.
    #[command(flatten)]
    pub database: DatabaseArgs,
}

/// The run to show.
#[derive(Args, Debug)]
pub struct ShowArgs {
    /// Number of the run
    #[arg(value_name = "N")]
    pub run: u32,

    /// Region of the run; needed only if several regions have a run of this number
    #[arg(long, value_enum, ignore_case = true)]
    pub region: Option<Region>,

    /// Print one JSON object, which lists every dataset
    #[arg(long)]
    pub json: bool,

    /// The database.
    #[command(flatten)]
    pub database: DatabaseArgs,
}

/// The run to approve.
#[derive(Args, Debug)]
pub struct ApproveArgs {
    /// Domain whose shield is lifted, repeatable; the run may already be accepted
    #[arg(long = "domain", value_name = "HOST")]
    pub domains: Vec<String>,

    /// The run.
    #[command(flatten)]
    pub decision: DecideArgs,
}

/// The run to decide on.
#[derive(Args, Debug)]
pub struct DecideArgs {
    /// Region of the run
    #[arg(long, value_enum, ignore_case = true)]
    pub region: Region,

    /// Number of the run
    #[arg(long, value_name = "N")]
    pub run: u32,

    /// Skip the confirmation; required without a terminal
    #[arg(long)]
    pub yes: bool,

    /// Print the result as one JSON object
    #[arg(long)]
    pub json: bool,

    /// The Kafka cluster to which the decision is published.
    #[command(flatten)]
    pub kafka: KafkaArgs,

    /// The database.
    #[command(flatten)]
    pub database: DatabaseArgs,
}
