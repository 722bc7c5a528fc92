//! Configuration that several commands share: plain structs, filled from the command line.

use clap::Args;
use secrecy::SecretString;

use crate::config::thresholds::{
    AnswerLimits, BatchSettings, DeadLetterThresholds, LARGE_DOMAIN, RunThresholds,
};

pub(crate) mod thresholds;

/// The database and the schema of the tables.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "PostgreSQL")]
pub struct DatabaseArgs {
    /// URL of the database, such as postgres://user:password@127.0.0.1:5432/catalog
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub database_url: Option<SecretString>,

    /// Schema that contains the tables
    #[arg(long, env = "CATALOG_SCHEMA", default_value = "catalog", value_parser = schema_name)]
    pub schema: String,
}

fn schema_name(text: &str) -> Result<String, &'static str> {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let starts_well = text.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    // PostgreSQL silently truncates names over 63 bytes.
    let is_valid = starts_well && text.chars().all(legal) && text.len() <= 63;
    if is_valid {
        Ok(text.to_owned())
    } else {
        Err("a schema name has 1 to 63 characters of a-z, 0-9 and _, and does not start with a digit")
    }
}

/// How batches are applied.
#[derive(Args, Clone, Copy, Debug)]
pub struct ApplyArgs {
    /// Batches that are applied concurrently, each over its own connection, 1 to 64
    #[arg(long, env = "CATALOG_CONNECTIONS", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub connections: u16,

    /// Records per batch, 1 to 10000
    #[arg(long, env = "CATALOG_BATCH_SIZE", default_value_t = 2000, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub batch_size: u16,

    /// Stop (exit 3) when more than this share of the last 1,000 records of a partition are dead letters, 0 to 1
    #[arg(long, env = "CATALOG_MAX_DEAD_SHARE", default_value_t = 0.1, value_parser = share)]
    pub max_dead_share: f64,

    /// Stop (exit 3) when more than this many consecutive records of a partition are dead letters
    #[arg(long, env = "CATALOG_MAX_DEAD_IN_ROW", default_value_t = 100)]
    pub max_dead_in_row: u32,

    /// Commit batches with the server's setting of synchronous_commit. By default they don't wait for the disk: a crash of
    /// the server may undo the last batches, which are then applied again
    #[arg(long, env = "CATALOG_SYNCHRONOUS_COMMIT")]
    pub synchronous_commit: bool,

    /// The thresholds that put a run on hold.
    #[command(flatten)]
    pub run_thresholds: RunThresholdArgs,
}

impl ApplyArgs {
    /// The settings of every batch.
    pub(crate) const fn batch_settings(&self) -> BatchSettings {
        let dead = DeadLetterThresholds { share: self.max_dead_share, in_row: self.max_dead_in_row };
        BatchSettings {
            dead,
            runs: self.run_thresholds.thresholds(),
            synchronous_commit: self.synchronous_commit,
            limits: AnswerLimits::DEFAULT,
        }
    }
}

/// The thresholds beyond which a full crawl is put on hold.
#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "Runs")]
pub struct RunThresholdArgs {
    /// Put a full crawl on hold if it would retire a larger share of its region's datasets; `rebuild` also refuses to
    /// delete a larger share of a region's rows, 0 to 1
    #[arg(long, env = "CATALOG_MAX_RETIRE_SHARE", default_value_t = 0.2, value_parser = share)]
    pub max_retire_share: f64,

    /// A run that saw a smaller share of what /domains declares is put on hold, 0 to 1
    #[arg(long, env = "CATALOG_MIN_SEEN_SHARE", default_value_t = 0.95, value_parser = share)]
    pub min_seen_share: f64,

    /// Retire missing datasets of a shielded domain once this many accepted full crawls in a row, over at least two
    /// days, did not see them and /domains does not declare them; 0 disables this
    #[arg(long, env = "CATALOG_CONFIRM_AFTER", default_value_t = 3)]
    pub confirm_after: u32,
}

impl RunThresholdArgs {
    /// The thresholds for runs.
    pub(crate) const fn thresholds(self) -> RunThresholds {
        RunThresholds {
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
