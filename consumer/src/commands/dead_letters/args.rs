//! The command line of `dead-letters`.

use std::time::Duration;

use catalog_shared::duration;
use catalog_shared::region::Region;
use clap::{Args, Subcommand};

use crate::config::{DatabaseArgs, RunThresholdArgs};

/// The arguments of `dead-letters`.
#[derive(Args, Debug)]
pub struct DeadLettersArgs {
    /// The action.
    #[command(subcommand)]
    pub command: DeadLettersCommand,
}

/// The actions on dead letters.
#[derive(Subcommand, Debug)]
pub enum DeadLettersCommand {
    /// List open dead letters; with --all, resolved ones too
    List(SelectionArgs),
    /// Show one dead letter in full: its value, its headers, and why it could not be applied
    Show(ShowArgs),
    /// Apply open dead letters again with their original version; exits 1 if one still can't be applied
    Replay(ReplayArgs),
    /// Mark open dead letters as discarded; the ledger still counts them as dead
    Discard(SelectionArgs),
    /// Delete replayed and discarded dead letters after a while; open ones are never deleted
    Prune(PruneArgs),
}

impl DeadLettersCommand {
    /// Whether the output is JSON.
    #[must_use]
    pub const fn prints_json(&self) -> bool {
        match self {
            Self::List(args) | Self::Discard(args) => args.json,
            Self::Show(args) => args.json,
            Self::Replay(args) => args.selected.json,
            Self::Prune(args) => args.json,
        }
    }
}

/// The dead letter to show.
#[derive(Args, Debug)]
pub struct ShowArgs {
    /// Id of the dead letter, as `dead-letters list` shows it
    #[arg(value_name = "ID")]
    pub id: i64,

    /// Print the dead letter as one JSON object
    #[arg(long)]
    pub json: bool,

    /// The database.
    #[command(flatten)]
    pub database: DatabaseArgs,
}

/// The resolved dead letters to delete.
#[derive(Args, Debug)]
pub struct PruneArgs {
    /// Minimum age since the replay or the discard, such as 30d or 12h
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    pub older_than: Duration,

    /// Print the result as one JSON object
    #[arg(long)]
    pub json: bool,

    /// The database.
    #[command(flatten)]
    pub database: DatabaseArgs,
}

/// The dead letters to replay, and the thresholds for a run whose last end-of-run record is among them.
#[derive(Args, Debug)]
pub struct ReplayArgs {
    /// The dead letters.
    #[command(flatten)]
    pub selected: SelectionArgs,

    /// The thresholds that put a run on hold.
    #[command(flatten)]
    pub thresholds: RunThresholdArgs,
}

/// The selected dead letters.
#[derive(Args, Debug)]
pub struct SelectionArgs {
    /// The selection.
    #[command(flatten)]
    pub selection: Selection,

    /// Print the result as one JSON object
    #[arg(long)]
    pub json: bool,

    /// The database.
    #[command(flatten)]
    pub database: DatabaseArgs,
}

/// A selection of dead letters. Several conditions are combined with "and".
#[derive(Args, Debug)]
pub struct Selection {
    /// Id of a dead letter, repeatable
    #[arg(long = "id", value_name = "N")]
    pub ids: Vec<i64>,

    /// Only dead letters of this region
    #[arg(long, value_enum, ignore_case = true)]
    pub region: Option<Region>,

    /// Only dead letters of this run
    #[arg(long)]
    pub run: Option<u32>,

    /// All open dead letters, and in `list` the resolved ones too
    #[arg(long)]
    pub all: bool,
}

impl Selection {
    /// Whether nothing was selected.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.ids.is_empty() && self.region.is_none() && self.run.is_none() && !self.all
    }
}
