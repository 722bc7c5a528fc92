//! The consumer of a world, in its ways to be run.

use anyhow::Result;
use sqlx::ConnectOptions;

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
    /// When the program has not been built.
    pub fn consume(&self) -> Result<Program> {
        Ok(self.member()?.args(["--until-caught-up"]))
    }

    /// A proxy to PostgreSQL, and the database's URL through it.
    ///
    /// # Errors
    /// What the system says.
    pub async fn proxy(&self) -> Result<(Proxy, String)> {
        let proxy = Proxy::open_to(format!("{}:{}", self.server.get_host(), self.server.get_port())).await?;
        let options = self.server.clone().database(&self.database).host("127.0.0.1").port(proxy.port());
        let url = options.to_url_lossy().to_string();
        Ok((proxy, url))
    }

    /// A consumer that migrates and goes on until it is stopped.
    ///
    /// # Errors
    /// When the program has not been built.
    pub fn member(&self) -> Result<Program> {
        Ok(self.plain_run()?.args(["--migrate"]))
    }

    /// A consumer that the group misses soon when it is killed: 6 s is the broker's least, and the 45 s of
    /// real life are too long for a test.
    ///
    /// # Errors
    /// When the program has not been built.
    pub fn mortal(&self) -> Result<Program> {
        let session =
            ["--kafka-option", "session.timeout.ms=6000", "--kafka-option", "heartbeat.interval.ms=1000"];
        Ok(self.member()?.args(session))
    }

    /// A consumer that doesn't migrate.
    ///
    /// # Errors
    /// When the program has not been built.
    pub fn plain_run(&self) -> Result<Program> {
        let program = Program::new("catalog-consumer")?.args(["run", "--json"]);
        Ok(self.at_home(program).args(["--group", &self.database]).env("DATABASE_URL", &self.database_url))
    }

    /// A command of the consumer's that needs the database alone, such as `dead-letters list`.
    ///
    /// # Errors
    /// When the program has not been built.
    pub fn ask(&self, command: &[&str]) -> Result<Program> {
        let program = Program::new("catalog-consumer")?.args(command.iter().copied());
        Ok(program.env("DATABASE_URL", &self.database_url))
    }

    /// A consumer of the same topics for tables of their own, as in a new database: the schema `again`.
    ///
    /// # Errors
    /// When the program has not been built.
    pub fn consume_again(&self) -> Result<Program> {
        let group = format!("{}.again", self.database);
        Ok(self.member()?.args(["--schema", "again", "--group", &group]))
    }

    /// `catalog-consumer runs`, with a JSON answer.
    ///
    /// # Errors
    /// When the program has not been built.
    pub fn runs<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Result<Program> {
        let program = Program::new("catalog-consumer")?.args(["runs"]).args(args).args(["--json"]);
        Ok(program
            .env("KAFKA_BROKERS", &self.brokers)
            .env("CATALOG_TOPIC_PREFIX", &self.prefix)
            .env("DATABASE_URL", &self.database_url))
    }

    /// Makes the tables.
    ///
    /// # Errors
    /// When the consumer's `migrate` fails.
    pub async fn migrate(&self) -> Result<()> {
        let program = Program::new("catalog-consumer")?.args(["migrate"]);
        program.env("DATABASE_URL", &self.database_url).succeed().await?;
        Ok(())
    }
}
