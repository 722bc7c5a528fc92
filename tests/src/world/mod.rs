//! A world of its own for each test: a database and topics that no other test sees, on the real
//! PostgreSQL and the real Kafka that `DATABASE_URL` and `KAFKA_BROKERS` name, and the real programs.

mod broker;
mod compaction;
mod consumer;
mod documented;
mod kafka_proxy;
mod moving;
mod pooler;
mod program;
mod proxy;
mod rebuild;
mod roles;
mod tables;
mod topic;
mod undecided;

use std::env;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use tokio::time::{interval, timeout};
use uuid::Uuid;

pub use broker::Broker;
pub use kafka_proxy::{KafkaProxy, LateEnd};
pub use pooler::Pooler;
pub use program::{Ended, Program, Running};
pub use proxy::Proxy;
pub use tables::{CATALOG, Contents};
pub use topic::{Sent, TopicRecord};
pub use undecided::OpenTransaction;

use crate::double::Double;

/// The topics that a producer makes, without their prefix.
const TOPICS: [&str; 7] = ["datasets", "domains", "hosts", "agencies", "cursors", "verdicts", "dead-letters"];

/// How often a query is asked again, and for how long: a test that hangs is a failed test.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
const LIMIT: Duration = Duration::from_secs(300);

/// One test's database and topics. Both go when it is dropped.
pub struct World {
    brokers: String,
    /// The Kafka that other tests use too, if this world has topics there.
    shared: Option<String>,
    prefix: String,
    /// Prefixes that it used before.
    left: Vec<String>,
    server: PgConnectOptions,
    database: String,
    database_url: String,
    pool: PgPool,
}

impl World {
    /// Makes the database. Topics are made by the first producer.
    ///
    /// # Errors
    /// When the services aren't there; `make test` starts them.
    pub async fn new() -> Result<Self> {
        let brokers = env::var("KAFKA_BROKERS").context("KAFKA_BROKERS is not set: run `make test`")?;
        Self::make(brokers, true, "").await
    }

    /// As [`World::new`], in a database that is made with these options, such as `encoding 'LATIN1'`.
    ///
    /// # Errors
    /// As [`World::new`], or when the server does not know them.
    pub async fn in_database(options: &str) -> Result<Self> {
        let brokers = env::var("KAFKA_BROKERS").context("KAFKA_BROKERS is not set: run `make test`")?;
        Self::make(brokers, true, options).await
    }

    /// As [`World::new`], with topics on a Kafka of the test's own, which need not be there.
    ///
    /// # Errors
    /// When PostgreSQL isn't there.
    pub async fn on(brokers: String) -> Result<Self> {
        Self::make(brokers, false, "").await
    }

    async fn make(brokers: String, shared: bool, options: &str) -> Result<Self> {
        let url = env::var("DATABASE_URL").context("DATABASE_URL is not set: run `make test`")?;
        let name = format!("test_{}", Uuid::new_v4().simple());
        let server: PgConnectOptions = url.parse()?;
        let create = format!("create database {name} {options}");
        server.connect().await?.execute_raw(&create).await?;
        let options = server.clone().database(&name).options([("search_path", "catalog")]);
        let database_url = options.to_url_lossy().to_string();
        let pool = PgPoolOptions::new().max_connections(4).connect_lazy_with(options);
        let prefix = format!("{name}.");
        let shared = shared.then(|| brokers.clone());
        Ok(Self { brokers, shared, prefix, left: Vec::new(), server, database: name, database_url, pool })
    }

    /// The tables.
    #[must_use]
    pub const fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// A topic's name.
    #[must_use]
    pub fn topic(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// The names of this world's topics that are there by now.
    ///
    /// # Errors
    /// What Kafka says.
    pub async fn topics(&self) -> Result<Vec<String>> {
        let (config, prefix) = (self.kafka(), self.prefix.clone());
        let look = move || -> Result<_> {
            let admin: AdminClient<DefaultClientContext> = config.create()?;
            let metadata = admin.inner().fetch_metadata(None, LIMIT)?;
            let names = metadata.topics().iter().map(|topic| topic.name().to_owned());
            Ok(names.filter(|name| name.starts_with(&prefix)).collect())
        };
        tokio::task::spawn_blocking(look).await?
    }

    /// A client's configuration for this Kafka.
    #[must_use]
    pub fn kafka(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers);
        config
    }

    /// A proxy to this Kafka that delivers ends of transactions late.
    ///
    /// # Errors
    /// What the system says.
    pub async fn kafka_proxy(&self, planned: Vec<LateEnd>) -> Result<KafkaProxy> {
        KafkaProxy::open_to(&self.brokers, planned).await
    }

    /// A crawl of the double's region, as fast as it goes, in pages of 100, over topics of 2 partitions.
    ///
    /// # Errors
    /// When the program has not been built.
    pub fn crawl(&self, double: &Double) -> Result<Program> {
        let region = double.region().name();
        let program = Program::new("catalog-producer")?.args(["crawl", "--region", region, "--json"]);
        let program = program.args(["--api-url", &double.url(), "--rate", "none", "--page-size", "100"]);
        Ok(self.at_home(program).args(["--partitions", "2"]))
    }

    /// Where the producers stand.
    ///
    /// # Errors
    /// When the program has not been built.
    pub fn status(&self) -> Result<Program> {
        Ok(self.at_home(Program::new("catalog-producer")?.args(["status"])))
    }

    /// All records of all topics that a producer makes.
    ///
    /// # Errors
    /// What Kafka says.
    pub async fn all_records(&self) -> Result<Vec<TopicRecord>> {
        let mut all = Vec::new();
        for topic in TOPICS {
            all.extend(self.records(topic).await?);
        }
        Ok(all)
    }

    /// Returns when a query that tells `true` or `false` tells `true`. PostgreSQL has no event for what
    /// is waited for here (a lock that is waited for, a row of another program), so it is asked again
    /// and again.
    ///
    /// # Errors
    /// When that takes long, or what PostgreSQL says.
    pub async fn until(&self, query: &'static str) -> Result<()> {
        let mut again = interval(LOOK_AGAIN);
        let asking = async {
            while !sqlx::query_scalar::<_, bool>(query).fetch_one(&self.pool).await? {
                again.tick().await;
            }
            anyhow::Ok(())
        };
        timeout(LIMIT, asking).await.with_context(|| format!("never true: {query}"))?
    }

    /// Returns when a statement of this text (as `like` takes it) waits for a lock.
    ///
    /// # Errors
    /// As [`World::until`].
    pub async fn until_held_up(&self, statement: &str) -> Result<()> {
        let query = "select exists (select from pg_stat_activity where datname = current_database()
             and wait_event_type = 'Lock' and query like $1)";
        let mut again = interval(LOOK_AGAIN);
        let asking = async {
            while !sqlx::query_scalar::<_, bool>(query).bind(statement).fetch_one(&self.pool).await? {
                again.tick().await;
            }
            anyhow::Ok(())
        };
        timeout(LIMIT, asking).await.with_context(|| format!("never held up: {statement}"))?
    }

    /// Sends a record to a topic as a stranger might; tells its offset.
    ///
    /// # Errors
    /// What Kafka says.
    pub async fn send(&self, topic: &str, sent: Sent<'_>) -> Result<i64> {
        topic::send(self.kafka(), &self.topic(topic), sent).await
    }

    /// The offset that the group has committed for a partition, and the partition's end.
    ///
    /// # Errors
    /// What Kafka says.
    pub async fn committed(&self, topic: &str, partition: i32) -> Result<(Option<i64>, i64)> {
        topic::committed(self.kafka(), &self.database, topic.to_owned(), partition).await
    }

    /// What some tables of a schema hold.
    ///
    /// # Errors
    /// What PostgreSQL says.
    pub async fn contents(&self, schema: &str, tables: &[&'static str]) -> Result<Vec<Contents>> {
        tables::contents(&self.pool, schema, tables).await
    }

    /// One of Kafka's own tools, about the group.
    ///
    /// # Errors
    /// When it fails; with what it said.
    pub async fn consumer_groups(&self, args: &[&str]) -> Result<String> {
        let tool = concat!(env!("CARGO_MANIFEST_DIR"), "/../dev/stack");
        let mut command = tokio::process::Command::new(tool);
        command.args(["kafka", "kafka-consumer-groups", "--bootstrap-server", &self.brokers]);
        let told = command.args(["--group", &self.database]).args(args).output().await?;
        let (out, error) = (String::from_utf8_lossy(&told.stdout), String::from_utf8_lossy(&told.stderr));
        ensure!(told.status.success() && !out.contains("Error"), "{out}{error}");
        Ok(out.into_owned())
    }

    fn at_home(&self, program: Program) -> Program {
        program.args(["--topic-prefix", &self.prefix]).env("KAFKA_BROKERS", &self.brokers)
    }

    /// The committed records of a topic, partition by partition.
    ///
    /// # Errors
    /// What Kafka says.
    pub async fn records(&self, topic: &str) -> Result<Vec<TopicRecord>> {
        topic::read(self.kafka(), self.topic(topic)).await
    }
}

impl Drop for World {
    /// Clean-up is a courtesy to whoever keeps the services: it must not fail a test.
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
            tracing::warn!(?error, "a test's database or topics are left behind");
        }
    }
}

/// Statements that can't be prepared.
trait ExecuteRaw {
    async fn execute_raw(self, statement: &str) -> Result<()>;
}

impl ExecuteRaw for sqlx::PgConnection {
    async fn execute_raw(mut self, statement: &str) -> Result<()> {
        sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(&mut self).await?;
        Ok(self.close().await?)
    }
}
