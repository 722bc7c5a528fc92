//! The command line of `dead-letters`.

use std::time::Duration;

use catalog_shared::duration;
use catalog_shared::region::Region;
use clap::{Args, Subcommand};

use crate::config::{DatabaseArgs, RunThresholdArgs};

/// What to do with dead letters.
#[derive(Args, Debug)]
pub struct DeadLettersArgs {
    /// What to do.
    #[command(subcommand)]
    pub action: DeadLettersAction,
}

/// What can be done with dead letters.
#[derive(Subcommand, Debug)]
pub enum DeadLettersAction {
    /// Lists those that are open; with --all, settled ones too
    List(DeadLetterArgs),
    /// Prints one dead letter in full: its value, its headers and why it could not be applied
    Show(ShowArgs),
    /// Applies open ones, each as the version that it is; exits 1 if one still can't be applied
    Replay(ReplayArgs),
    /// Puts open ones aside; in the books they stay dead
    Discard(DeadLetterArgs),
    /// Deletes dead letters that were replayed or discarded a while ago; open ones are never deleted
    Prune(PruneArgs),
}

impl DeadLettersAction {
    /// Whether the answer is JSON.
    #[must_use]
    pub const fn answers_in_json(&self) -> bool {
        match self {
            Self::List(args) | Self::Discard(args) => args.json,
            Self::Show(args) => args.json,
            Self::Replay(args) => args.letters.json,
            Self::Prune(args) => args.json,
        }
    }
}

/// Which dead letter to print.
#[derive(Args, Debug)]
pub struct ShowArgs {
    /// The dead letter's number, as `dead-letters list` shows it
    #[arg(value_name = "ID")]
    pub id: i64,

    /// Print it as one JSON object
    #[arg(long)]
    pub json: bool,

    /// Where the tables are.
    #[command(flatten)]
    pub database: DatabaseArgs,
}

/// Which resolved dead letters to delete.
#[derive(Args, Debug)]
pub struct PruneArgs {
    /// Deletes those that were replayed or discarded longer ago than this, such as 30d or 12h
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    pub older_than: Duration,

    /// Print the result as one JSON object
    #[arg(long)]
    pub json: bool,

    /// Where the tables are.
    #[command(flatten)]
    pub database: DatabaseArgs,
}

/// Which dead letters to replay, and the limits for a run whose last marker is among them.
#[derive(Args, Debug)]
pub struct ReplayArgs {
    /// Which ones.
    #[command(flatten)]
    pub letters: DeadLetterArgs,

    /// The limits beyond which a run is held.
    #[command(flatten)]
    pub thresholds: RunThresholdArgs,
}

/// Which dead letters.
#[derive(Args, Debug)]
pub struct DeadLetterArgs {
    /// Which ones.
    #[command(flatten)]
    pub selection: Selection,

    /// Ends with one JSON object on standard output in place of text
    #[arg(long)]
    pub json: bool,

    /// Where the tables are.
    #[command(flatten)]
    pub database: DatabaseArgs,
}

/// A selection of dead letters; what is given of it must all hold.
#[derive(Args, Debug)]
pub struct Selection {
    /// A dead letter's number, repeatable
    #[arg(long = "id", value_name = "N")]
    pub ids: Vec<i64>,

    /// Only those of this region
    #[arg(long, value_enum, ignore_case = true)]
    pub region: Option<Region>,

    /// Only those of this run
    #[arg(long)]
    pub run: Option<u32>,

    /// All of them
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
