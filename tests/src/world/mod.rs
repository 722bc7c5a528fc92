//! A separate world for each test: a database and topics that no other test uses, on the real
//! PostgreSQL and the real Kafka that `DATABASE_URL` and `KAFKA_BROKERS` name, and the real programs.

mod broker;
mod browser;
mod cleanup;
mod compaction;
mod consumer;
mod database_server;
mod dead_letters;
mod documented;
mod kafka_proxy;
mod monitoring_port;
mod moving;
mod open_transaction;
mod operator;
mod pooler;
mod probes;
mod process;
mod program;
mod proxy;
mod rebuild;
mod receiver;
mod role_script;
mod roles;
mod secure_broker;
mod secure_database;
mod small_disk;
mod stalling;
mod tables;
mod template;
mod token_endpoint;
mod topic;
mod topic_access;
mod topic_admin;
mod waiting;

use std::env;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rdkafka::config::ClientConfig;
use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use uuid::Uuid;

use cleanup::ExecuteRaw;

pub use broker::Broker;
pub use browser::{Rendered, render};
pub use database_server::DatabaseServer;
pub use dead_letters::record_headers;
pub use kafka_proxy::{KafkaProxy, LateEnd};
pub use monitoring_port::MonitoringPort;
pub use open_transaction::OpenTransaction;
pub use operator::Operator;
pub use pooler::Pooler;
pub use probes::{Prober, Probes, Restarts};
pub use program::{Ended, Program, Running};
pub use proxy::Proxy;
pub use rebuild::PausedRebuild;
pub use receiver::{Answer, Received, Receiver};
pub use small_disk::SmallDisk;
pub use tables::{CATALOG, Contents};
pub use token_endpoint::{CLIENT, TokenEndpoint};
pub use topic::{Sent, TopicRecord};
pub use topic_access::Access;
pub use waiting::until_ok;

use crate::mock_server::MockServer;

/// The topics that a producer creates, without their prefix.
const TOPICS: [&str; 7] = ["datasets", "domains", "hosts", "agencies", "cursors", "verdicts", "dead-letters"];

/// How often a condition is checked, and for how long: a test that hangs is a failed test.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
const LIMIT: Duration = Duration::from_secs(300);

/// What a test's database contains at first.
enum Database<'a> {
    /// All tables, without rows.
    Migrated,
    /// Nothing. The database is created with these options.
    Empty(&'a str),
}

fn shared_brokers() -> Result<String> {
    env::var("KAFKA_BROKERS").context("KAFKA_BROKERS is not set: run `make test`")
}

/// One test's database and topics. Both are deleted when this is dropped.
pub struct World {
    brokers: String,
    /// The Kafka that other tests use too, if this world has topics there.
    shared: Option<String>,
    prefix: String,
    /// Prefixes that it used before.
    left: Vec<String>,
    server: PgConnectOptions,
    database: String,
    /// The URL of the programs.
    database_url: String,
    /// Whether they log in as the writer of deploy/roles.sql, and not as the tests' user.
    has_writer: bool,
    pool: PgPool,
}

impl World {
    /// Creates a database with the tables. The consumer's commands have only the rights of the writer in deploy/roles.sql. The
    /// first producer creates the topics.
    ///
    /// # Errors
    /// If Kafka or PostgreSQL can't be reached; `make test` starts them.
    pub async fn new() -> Result<Self> {
        Self::make(shared_brokers()?, true, Database::Migrated).await
    }

    /// Like [`World::new`], with an empty database that is created with these options, such as `encoding 'LATIN1'`.
    ///
    /// # Errors
    /// Same as [`World::new`], or if the server does not know the options.
    pub async fn unmigrated(options: &str) -> Result<Self> {
        Self::make(shared_brokers()?, true, Database::Empty(options)).await
    }

    /// Like [`World::new`], with topics on the test's own Kafka, which may be started later.
    ///
    /// # Errors
    /// If PostgreSQL can't be reached.
    pub async fn on(brokers: String) -> Result<Self> {
        Self::make(brokers, false, Database::Migrated).await
    }

    /// Like [`World::new`], with the test's own PostgreSQL and an empty database.
    ///
    /// # Errors
    /// Same as [`World::new`].
    pub async fn on_server(server: &DatabaseServer) -> Result<Self> {
        Self::on_server_with(server, "").await
    }

    /// Like [`World::on_server`], with a database that is created with these options, such as `tablespace small`.
    ///
    /// # Errors
    /// Same as [`World::unmigrated`].
    pub async fn on_server_with(server: &DatabaseServer, options: &str) -> Result<Self> {
        Self::make_at(server.url()?, shared_brokers()?, true, Database::Empty(options)).await
    }

    async fn make(brokers: String, shared: bool, kind: Database<'_>) -> Result<Self> {
        let url = env::var("DATABASE_URL").context("DATABASE_URL is not set: run `make test`")?;
        Self::make_at(url, brokers, shared, kind).await
    }

    async fn make_at(url: String, brokers: String, shared: bool, kind: Database<'_>) -> Result<Self> {
        let name = format!("test_{}", Uuid::new_v4().simple());
        let server: PgConnectOptions = url.parse()?;
        let has_writer = matches!(kind, Database::Migrated);
        let login = match kind {
            Database::Migrated => {
                template::copy(&server, &name).await?;
                template::login(&server, "writer", &name)
            }
            Database::Empty(options) => {
                server.connect().await?.execute_raw(&format!("create database {name} {options}")).await?;
                server.clone().database(&name)
            }
        };
        let search_path = [("search_path", "catalog")];
        let database_url = login.options(search_path).to_url_lossy().to_string();
        let options = server.clone().database(&name).options(search_path);
        let pool = PgPoolOptions::new().max_connections(4).connect_lazy_with(options);
        let prefix = format!("{name}.");
        let shared = shared.then(|| brokers.clone());
        let (left, database) = (Vec::new(), name);
        Ok(Self { brokers, shared, prefix, left, server, database, database_url, has_writer, pool })
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
    /// The system's error.
    pub async fn kafka_proxy(&self, planned: Vec<LateEnd>) -> Result<KafkaProxy> {
        KafkaProxy::open_to(&self.brokers, planned).await
    }

    /// A crawl of the mock server's region without a rate limit, in pages of 100, over topics of 2 partitions.
    ///
    /// # Errors
    /// If the program was not built.
    pub fn crawl(&self, api: &MockServer) -> Result<Program> {
        let region = api.region().name();
        let program = Program::new("catalog-producer")?.args(["crawl", "--region", region, "--json"]);
        let program = program.args(["--api-url", &api.url(), "--rate", "none", "--page-size", "100"]);
        Ok(self.configured(program).args(["--partitions", "2"]))
    }

    /// The command `catalog-producer status`.
    ///
    /// # Errors
    /// If the program was not built.
    pub fn status(&self) -> Result<Program> {
        Ok(self.configured(Program::new("catalog-producer")?.args(["status"])))
    }

    /// All records of all topics that a producer creates.
    ///
    /// # Errors
    /// Kafka's error.
    pub async fn all_records(&self) -> Result<Vec<TopicRecord>> {
        let mut all = Vec::new();
        for topic in TOPICS {
            all.extend(self.records(topic).await?);
        }
        Ok(all)
    }

    /// Sends a record to a topic as another client, and returns its offset.
    ///
    /// # Errors
    /// Kafka's error.
    pub async fn send(&self, topic: &str, sent: Sent<'_>) -> Result<i64> {
        topic::send(self.kafka(), &self.topic(topic), sent).await
    }

    /// The offset that the group has committed for a partition, and the partition's end.
    ///
    /// # Errors
    /// Kafka's error.
    pub async fn committed(&self, topic: &str, partition: i32) -> Result<(Option<i64>, i64)> {
        topic::committed(self.kafka(), &self.database, topic.to_owned(), partition).await
    }

    /// The contents of some tables of a schema.
    ///
    /// # Errors
    /// PostgreSQL's error.
    pub async fn contents(&self, schema: &str, tables: &[&'static str]) -> Result<Vec<Contents>> {
        tables::contents(&self.pool, schema, tables).await
    }

    /// Runs Kafka's tool for consumer groups on this world's group.
    ///
    /// # Errors
    /// If it fails. Contains its output.
    pub async fn consumer_groups(&self, args: &[&str]) -> Result<String> {
        let tool = concat!(env!("CARGO_MANIFEST_DIR"), "/../dev/stack");
        let mut command = tokio::process::Command::new(tool);
        command.args(["kafka", "kafka-consumer-groups", "--bootstrap-server", &self.brokers]);
        let reported = command.args(["--group", &self.database]).args(args).output().await?;
        let (out, error) =
            (String::from_utf8_lossy(&reported.stdout), String::from_utf8_lossy(&reported.stderr));
        ensure!(reported.status.success() && !out.contains("Error"), "{out}{error}");
        Ok(out.into_owned())
    }

    fn configured(&self, program: Program) -> Program {
        program.args(["--topic-prefix", &self.prefix]).env("KAFKA_BROKERS", &self.brokers)
    }

    /// The committed records of a topic, partition by partition.
    ///
    /// # Errors
    /// Kafka's error.
    pub async fn records(&self, topic: &str) -> Result<Vec<TopicRecord>> {
        topic::read(self.kafka(), self.topic(topic)).await
    }
}
