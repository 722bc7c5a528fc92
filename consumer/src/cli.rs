//! The command line.

use catalog_shared::kafka::KafkaArgs;
use catalog_shared::telemetry::LogFormat;
use clap::{Args, Parser, Subcommand};
use secrecy::SecretString;

use crate::apply::Bounds;
use crate::apply::dead_letters::Limits;
use crate::books::judge::{LARGE_DOMAIN, Tolerance};
use crate::dead_letters::DeadLettersArgs;
use crate::moving::MoveArgs;
use crate::rebuild::RebuildArgs;
use crate::runs::RunsCommand;
use crate::verify::VerifyArgs;

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

/// The flags that say where the tables are.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "PostgreSQL")]
pub struct DatabaseArgs {
    /// The database, such as postgres://user:password@127.0.0.1:5432/catalog
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub database_url: Option<SecretString>,

    /// The schema that the tables are in
    #[arg(long, env = "CATALOG_SCHEMA", default_value = "catalog", value_parser = schema_name)]
    pub schema: String,
}

fn schema_name(text: &str) -> Result<String, &'static str> {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let starts_well = text.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    // 63 bytes are PostgreSQL's limit; it would cut a longer name without a word.
    let good = starts_well && text.chars().all(legal) && text.len() <= 63;
    if good {
        Ok(text.to_owned())
    } else {
        Err("a schema's name is up to 63 of a-z 0-9 _, not led by a digit")
    }
}

/// How to apply.
#[derive(Args, Debug)]
pub struct RunArgs {
    /// Ends once every partition is applied as far as it reached at the start
    #[arg(long)]
    pub until_caught_up: bool,

    /// Brings the tables up to this build first
    #[arg(long)]
    pub migrate: bool,

    /// Reads what would be applied and tells what would become of it, without writing anything or joining the
    /// group
    #[arg(long, conflicts_with = "migrate")]
    pub dry_run: bool,

    /// Fills new tables although topics have lost their first records
    #[arg(long)]
    pub accept_loss: bool,

    /// The consumer group
    #[arg(long, env = "CATALOG_GROUP", default_value = "catalog-consumer")]
    pub group: String,

    /// Ends with one JSON object on standard output in place of text
    #[arg(long)]
    pub json: bool,

    /// How batches are applied.
    #[command(flatten)]
    pub apply: ApplyArgs,

    /// Where Kafka is.
    #[command(flatten)]
    pub kafka: KafkaArgs,

    /// Where the tables are.
    #[command(flatten)]
    pub database: DatabaseArgs,
}

/// How batches are applied.
#[derive(Args, Clone, Copy, Debug)]
pub struct ApplyArgs {
    /// How many batches are applied side by side, each over a connection of its own
    #[arg(long, env = "CATALOG_CONNECTIONS", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub connections: u16,

    /// Records a batch, 1 to 10000
    #[arg(long, env = "CATALOG_BATCH_SIZE", default_value_t = 1000, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub batch_size: u16,

    /// Stops (exit 3) when more than this share of the last 1,000 records of a partition are dead letters, 0 to 1
    #[arg(long, env = "CATALOG_MAX_DEAD_SHARE", default_value_t = 0.1, value_parser = share)]
    pub max_dead_share: f64,

    /// Stops (exit 3) when more than this many records of a partition, one after the other, are dead letters
    #[arg(long, env = "CATALOG_MAX_DEAD_IN_ROW", default_value_t = 100)]
    pub max_dead_in_row: u32,

    /// When a run is held.
    #[command(flatten)]
    pub limits: JudgeArgs,
}

impl ApplyArgs {
    /// The limits for records and runs.
    pub(crate) const fn bounds(&self) -> Bounds {
        let dead = Limits { share: self.max_dead_share, in_row: self.max_dead_in_row };
        Bounds { dead, runs: self.limits.tolerance() }
    }
}

/// The limits beyond which a whole crawl is not believed.
#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "Runs")]
pub struct JudgeArgs {
    /// A run that would retire a larger share of its region's datasets is held, 0 to 1
    #[arg(long, env = "CATALOG_MAX_RETIRE_SHARE", default_value_t = 0.2, value_parser = share)]
    pub max_retire_share: f64,

    /// A run that saw a smaller share of what /domains declares is held, 0 to 1
    #[arg(long, env = "CATALOG_MIN_SEEN_SHARE", default_value_t = 0.95, value_parser = share)]
    pub min_seen_share: f64,

    /// A domain's loss is believed once this many accepted full crawls in a row, over at least two days, confirm
    /// it and /domains does not declare what is missing; 0 for never
    #[arg(long, env = "CATALOG_CONFIRM_AFTER", default_value_t = 3)]
    pub confirm_after: u32,
}

impl JudgeArgs {
    /// The limits for runs.
    pub(crate) const fn tolerance(self) -> Tolerance {
        Tolerance {
            max_retire_share: self.max_retire_share,
            min_seen_share: self.min_seen_share,
            confirm_after: self.confirm_after,
            large_domain: LARGE_DOMAIN,
        }
    }
}

fn share(text: &str) -> Result<f64, &'static str> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or("a share is a number from 0 to 1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_is_a_plain_lower_case_name() {
        assert!(schema_name("catalog_2").is_ok());
        assert!(["", "2nd", "Catalog", "a;b", "a b"].iter().all(|name| schema_name(name).is_err()));
        assert!(schema_name(&"a".repeat(64)).is_err());
    }

    #[test]
    fn a_share_is_a_number_from_0_to_1() {
        assert!(["0", "0.2", "1"].iter().all(|text| share(text).is_ok()));
        assert!(["-0.1", "1.1", "20%", "NaN", ""].iter().all(|text| share(text).is_err()));
    }
}
