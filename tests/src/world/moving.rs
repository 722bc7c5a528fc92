//! A world that moves to other topics.

use anyhow::{Context, Result};

use super::{Program, World};

impl World {
    /// `catalog-consumer move` with these flags, with a JSON answer.
    ///
    /// # Errors
    /// If the program was not built.
    pub fn move_tables(&self, flags: &[&str]) -> Result<Program> {
        let program = Program::new("catalog-consumer")?.args(["move", "--json", "--group", self.group()]);
        let program = self.configured(program).env("DATABASE_URL", &self.database_url);
        Ok(program.args(flags.iter().copied()))
    }

    /// The prefix of the topics' names.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Uses the topics under another prefix from now on.
    pub fn use_prefix(&mut self, prefix: &str) {
        self.left.push(std::mem::replace(&mut self.prefix, prefix.to_owned()));
    }

    /// Uses another Kafka from now on.
    pub fn use_brokers(&mut self, brokers: String) {
        self.brokers = brokers;
    }

    /// A command as a documentation page shows it. Everything else comes from environment variables.
    ///
    /// # Errors
    /// If the line runs neither program, or the program was not built.
    pub fn documented(&self, line: &str, api_url: &str) -> Result<Program> {
        let (name, args) = line.split_once(' ').context("a command has arguments")?;
        let program = Program::new(name)?.args(args.split(' '));
        Ok(program
            .env("KAFKA_BROKERS", &self.brokers)
            .env("CATALOG_TOPIC_PREFIX", &self.prefix)
            .env("CATALOG_GROUP", &self.database)
            .env("CATALOG_API_URL", api_url)
            .env("DATABASE_URL", &self.database_url))
    }
}
