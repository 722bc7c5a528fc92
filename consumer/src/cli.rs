//! The command line.

use catalog_shared::kafka::KafkaArgs;
use catalog_shared::telemetry::LogFormat;
use clap::{Args, Parser, Subcommand};
use secrecy::SecretString;

/// Keeps a PostgreSQL copy of the catalog that the topics hold.
#[derive(Parser, Debug)]
#[command(version, max_term_width = 100, args_override_self = true)]
pub struct Cli {
    /// How log lines on standard error are written
    #[arg(long, env = "CATALOG_LOG_FORMAT", value_enum, default_value = "auto", global = true)]
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

    /// The consumer group
    #[arg(long, env = "CATALOG_GROUP", default_value = "catalog-consumer")]
    pub group: String,

    /// How many batches are applied side by side, each over a connection of its own
    #[arg(long, env = "CATALOG_CONNECTIONS", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub connections: u16,

    /// Records a batch, 1 to 10000
    #[arg(long, env = "CATALOG_BATCH_SIZE", default_value_t = 1000, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub batch_size: u16,

    /// Ends with one JSON object on standard output in place of text
    #[arg(long)]
    pub json: bool,

    /// Where Kafka is.
    #[command(flatten)]
    pub kafka: KafkaArgs,

    /// Where the tables are.
    #[command(flatten)]
    pub database: DatabaseArgs,
}

/// How to rebuild.
#[derive(Args, Debug)]
pub struct RebuildArgs {
    /// Brings the tables up to this build first
    #[arg(long)]
    pub migrate: bool,

    /// Ends with one JSON object on standard output in place of text
    #[arg(long)]
    pub json: bool,

    /// How to read the topics.
    #[command(flatten)]
    pub replay: ReplayArgs,
}

/// How to verify.
#[derive(Args, Debug)]
pub struct VerifyArgs {
    /// Compares the tables with what the topics give, row by row
    #[arg(long, required = true)]
    pub topics: bool,

    /// Ends with one JSON object on standard output in place of text
    #[arg(long)]
    pub json: bool,

    /// How to read the topics.
    #[command(flatten)]
    pub replay: ReplayArgs,
}

/// How to read the topics from the beginning, beside the consumers.
#[derive(Args, Debug)]
pub struct ReplayArgs {
    /// How many batches are applied side by side, each over a connection of its own
    #[arg(long, env = "CATALOG_CONNECTIONS", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub connections: u16,

    /// Records a batch, 1 to 10000
    #[arg(long, env = "CATALOG_BATCH_SIZE", default_value_t = 1000, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub batch_size: u16,

    /// Where Kafka is.
    #[command(flatten)]
    pub kafka: KafkaArgs,

    /// Where the tables are.
    #[command(flatten)]
    pub database: DatabaseArgs,
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
}
