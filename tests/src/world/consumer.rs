//! The consumer of a world, with different options.

use anyhow::{Context, Result};
use sqlx::ConnectOptions;
use sqlx::postgres::PgConnectOptions;

use super::{Program, Proxy, World};

impl World {
    /// The consumer's group.
    #[must_use]
    pub fn group(&self) -> &str {
        &self.database
    }

    /// A consumer that migrates and ends when it has caught up.
    ///
    /// # Errors
    /// If the program was not built.
    pub fn consume(&self) -> Result<Program> {
        Ok(self.member()?.args(["--until-caught-up"]))
    }

    /// A proxy to PostgreSQL, and the database's URL through it.
    ///
    /// # Errors
    /// The system's error.
    pub async fn proxy(&self) -> Result<(Proxy, String)> {
        let proxy = Proxy::open_to(format!("{}:{}", self.server.get_host(), self.server.get_port())).await?;
        let options: PgConnectOptions = self.database_url.parse()?;
        let url = options.host("127.0.0.1").port(proxy.port()).to_url_lossy().to_string();
        Ok((proxy, url))
    }

    /// A consumer that migrates and runs until it is stopped.
    ///
    /// # Errors
    /// If the program was not built.
    pub fn member(&self) -> Result<Program> {
        Ok(self.plain_run()?.args(["--migrate"]))
    }

    /// A consumer that the group drops soon after it is killed. 6 s is the broker's minimum, and the default of 45 s
    /// is too long for a test.
    ///
    /// # Errors
    /// If the program was not built.
    pub fn short_session(&self) -> Result<Program> {
        let session =
            ["--kafka-option", "session.timeout.ms=6000", "--kafka-option", "heartbeat.interval.ms=1000"];
        Ok(self.member()?.args(session))
    }

    /// A consumer that doesn't migrate.
    ///
    /// # Errors
    /// If the program was not built.
    pub fn plain_run(&self) -> Result<Program> {
        let program = Program::new("catalog-consumer")?.args(["run", "--json"]);
        Ok(self.configured(program).args(["--group", &self.database]).env("DATABASE_URL", &self.database_url))
    }

    /// A command of the consumer that needs only the database, such as `dead-letters list`.
    ///
    /// # Errors
    /// If the program was not built.
    pub fn ask(&self, command: &[&str]) -> Result<Program> {
        let program = Program::new("catalog-consumer")?.args(command.iter().copied());
        Ok(program.env("DATABASE_URL", &self.database_url))
    }

    /// A consumer of the same topics for new tables, in the schema `again`.
    ///
    /// # Errors
    /// If the program was not built.
    pub fn consume_again(&self) -> Result<Program> {
        let group = format!("{}.again", self.database);
        Ok(self.member()?.args(["--schema", "again", "--group", &group]))
    }

    /// `catalog-consumer runs`, with a JSON answer.
    ///
    /// # Errors
    /// If the program was not built.
    pub fn runs<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Result<Program> {
        let program = Program::new("catalog-consumer")?.args(["runs"]).args(args).args(["--json"]);
        Ok(program
            .env("KAFKA_BROKERS", &self.brokers)
            .env("CATALOG_TOPIC_PREFIX", &self.prefix)
            .env("DATABASE_URL", &self.database_url))
    }

    /// `catalog-consumer check`, with a JSON answer.
    ///
    /// # Errors
    /// If the program was not built.
    pub fn check(&self, args: &[&str]) -> Result<Program> {
        self.follow(&format!("catalog-consumer check --json {}", args.join(" ")))
    }

    /// A command that a program has recommended, as an operator of this world would run it. Arguments are separated by
    /// blanks, and a comment after them is ignored.
    ///
    /// # Errors
    /// If the program was not built.
    pub fn follow(&self, command: &str) -> Result<Program> {
        let command = command.split("  # ").next().unwrap_or_default();
        let (program, args) = command.split_once(' ').context("a program and its command")?;
        let program = Program::new(program)?.args(args.split_whitespace());
        let program = program.env("KAFKA_BROKERS", &self.brokers).env("CATALOG_TOPIC_PREFIX", &self.prefix);
        Ok(program.env("CATALOG_GROUP", &self.database).env("DATABASE_URL", &self.database_url))
    }

    /// Creates the tables, or upgrades them as their owner.
    ///
    /// # Errors
    /// If the consumer's `migrate` fails.
    pub async fn migrate(&self) -> Result<()> {
        let migrate = Program::new("catalog-consumer")?.args(["migrate"]);
        let migrate = if self.has_writer {
            self.as_owner(migrate)
        } else {
            migrate.env("DATABASE_URL", &self.database_url)
        };
        migrate.succeed().await?;
        Ok(())
    }
}
