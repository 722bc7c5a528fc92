//! Removes what a world leaves when its test ends.

use anyhow::Result;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

use super::{TOPICS, World};

impl Drop for World {
    /// Drops the database and deletes the topics. Errors are only logged, because they must not fail a test.
    fn drop(&mut self) {
        let server = self.server.clone();
        let drop_database = format!("drop database {} with (force)", self.database);
        let drop_roles = self.drop_roles();
        let kafka = self.shared.as_ref().map(|brokers| {
            let mut config = ClientConfig::new();
            config.set("bootstrap.servers", brokers);
            config
        });
        let prefixes = self.left.iter().chain([&self.prefix]);
        let topics: Vec<String> =
            prefixes.flat_map(|prefix| TOPICS.map(|name| format!("{prefix}{name}"))).collect();
        let clean_up = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                server.connect().await?.execute_raw(&drop_database).await?;
                server.connect().await?.execute_raw(&drop_roles).await?;
                let Some(kafka) = kafka else { return Ok(()) };
                let admin: AdminClient<DefaultClientContext> = kafka.create()?;
                let names: Vec<&str> = topics.iter().map(String::as_str).collect();
                admin.delete_topics(&names, &AdminOptions::new()).await?;
                anyhow::Ok(())
            })
        };
        if let Ok(Err(error)) = std::thread::spawn(clean_up).join() {
            tracing::warn!(?error, "a test's database or topics were not removed");
        }
    }
}

/// Statements that can't be prepared.
pub(super) trait ExecuteRaw {
    async fn execute_raw(self, statement: &str) -> Result<()>;
}

impl ExecuteRaw for sqlx::PgConnection {
    async fn execute_raw(mut self, statement: &str) -> Result<()> {
        sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(&mut self).await?;
        Ok(self.close().await?)
    }
}
