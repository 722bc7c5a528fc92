//! The tables of one property, in their own schemas of the database in `DATABASE_URL`.

use std::collections::{BTreeMap, BTreeSet};
use std::env;

use anyhow::{Context, Result};
use catalog_shared::record::Version;
use catalog_shared::region::Region;
use catalog_shared::topics::Topics;
use sqlx::postgres::PgPool;
use sqlx::{AssertSqlSafe, ConnectOptions, FromRow, raw_sql};
use time::OffsetDateTime;

use super::log::Spot;
use crate::commands::rebuild;
use crate::config::DatabaseArgs;
use crate::decode::rows::{Dataset, Versioned};
use crate::store::database;

/// The number of concurrent batches.
const CONNECTIONS: u32 = 3;

/// A summary of a row of any catalog table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, FromRow)]
pub(super) struct Row {
    pub(super) kind: String,
    pub(super) key: String,
    pub(super) run: i64,
    pub(super) page: i64,
    pub(super) observed_at: OffsetDateTime,
    pub(super) row_text: String,
    pub(super) retired_at: Option<OffsetDateTime>,
}

/// The ledger's counts for a run and partition.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, FromRow)]
pub(super) struct Count {
    pub(super) region: String,
    pub(super) run: i64,
    pub(super) topic: String,
    pub(super) partition: i32,
    pub(super) applied: i64,
    pub(super) dead: i64,
    pub(super) published: Option<i64>,
}

/// The row of the asset `us/d.example/aaaa-bbbb`, with a version.
pub(super) fn dataset(text: &str, (run, page): (u32, u32)) -> Versioned<Dataset<'_>> {
    let (domain, id) = ("d.example", "aaaa-bbbb");
    let row = Dataset::scan(text, domain, id).unwrap();
    let (version, observed_at) = (Version { run, page }, OffsetDateTime::UNIX_EPOCH);
    Versioned { region: Region::Us, version, observed_at, offset: 0, row }
}
/// The shielded domains of a run, each with the run below which absences are confirmed.
pub(super) type Shields = BTreeMap<String, Option<u32>>;
/// The accepted runs with their shields.
pub(super) type Accepted = BTreeMap<(Region, u32), Shields>;

/// A schema with its tables.
pub(super) struct Tables {
    args: DatabaseArgs,
    pub(super) pool: PgPool,
}

impl Tables {
    /// Creates the tables. `name` must be unique to the property.
    pub(super) async fn make(name: &str) -> Result<Self> {
        let url = env::var("DATABASE_URL").context("DATABASE_URL is not set: run `make test`")?;
        let started = OffsetDateTime::now_utc().unix_timestamp_nanos();
        let schema = format!("property_{name}_{started}");
        let args = DatabaseArgs { database_url: Some(url.into()), schema };
        database::migrate(&args).await?;
        let pool = database::open(&args, CONNECTIONS).await?;
        // These tests don't crash the server, and waiting for the disk is slow.
        let options = (*pool.connect_options()).clone().options([("synchronous_commit", "off")]);
        pool.set_connect_options(options);
        Ok(Self { args, pool })
    }

    /// Empties all tables.
    pub(super) async fn wipe(&self) -> Result<()> {
        let tables: Vec<String> = sqlx::query_scalar(
            "select quote_ident(tablename) from pg_tables
             where schemaname = current_schema() and tablename not in ('_sqlx_migrations', 'installation')",
        )
        .fetch_all(&self.pool)
        .await?;
        let statements: String = tables.iter().map(|table| format!("delete from {table};")).collect();
        raw_sql(AssertSqlSafe(statements)).execute(&self.pool).await?;
        Ok(())
    }

    /// The rows of the catalog tables.
    pub(super) async fn rows(&self) -> Result<BTreeSet<Row>> {
        let rows: Vec<Row> = sqlx::query_as(
            "select 'datasets' as kind, concat_ws('/', region, domain, id) as key, last_run as run,
                 last_page as page, observed_at, retired_at,
                 concat_ws('|', name, record #>> '{resource,name}', page_views_total) as row_text
             from socrata_datasets full join socrata_dataset_stats using (region, domain, id)
             union all
             select 'domains', concat_ws('/', region, domain), last_run, last_page, observed_at, null,
                 declared_count::text
             from socrata_domains
             union all
             select 'hosts', concat_ws('/', region, host), last_run, last_page, observed_at, null, domain
             from socrata_hosts
             union all
             select 'agencies', concat_ws('/', region, host, agency), last_run, last_page, observed_at, null,
                 agency
             from socrata_agencies",
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().collect())
    }

    /// The complete contents of the catalog tables, row by row.
    pub(super) async fn contents(&self) -> Result<BTreeSet<String>> {
        let mut all = BTreeSet::new();
        for table in ["datasets", "dataset_stats", "domains", "hosts", "agencies"] {
            let query = format!("select '{table} ' || row::text from socrata_{table} as row");
            let rows: Vec<String> = sqlx::query_scalar(AssertSqlSafe(query)).fetch_all(&self.pool).await?;
            all.extend(rows);
        }
        Ok(all)
    }

    /// The ledger.
    pub(super) async fn ledger(&self) -> Result<BTreeSet<Count>> {
        let counts: Vec<Count> = sqlx::query_as(
            "select region, run, topic, partition, new + changed + unchanged + older as applied, dead,
                 published
             from run_partitions",
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(counts.into_iter().collect())
    }

    /// The dead letters, by topic, partition and offset.
    pub(super) async fn dead_letters(&self) -> Result<BTreeSet<(String, i32, i64)>> {
        let query = r#"select topic, partition, "offset" from dead_letters"#;
        let letters: Vec<(String, i32, i64)> = sqlx::query_as(query).fetch_all(&self.pool).await?;
        Ok(letters.into_iter().collect())
    }

    /// The number of created rows by topic.
    pub(super) async fn made(&self) -> Result<BTreeMap<String, i64>> {
        let made: Vec<(String, i64)> = sqlx::query_as(
            "select topic, sum(new)::bigint from run_partitions group by topic having sum(new) > 0",
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(made.into_iter().collect())
    }

    /// The state of each run.
    pub(super) async fn states(&self) -> Result<BTreeMap<(Region, u32), String>> {
        let runs: Vec<(String, i64, String)> =
            sqlx::query_as("select region, run, state from runs").fetch_all(&self.pool).await?;
        let run = |(region, run, state): (String, i64, String)| {
            let region = Region::from_name(&region).context("an unknown region")?;
            Ok(((region, u32::try_from(run)?), state))
        };
        runs.into_iter().map(run).collect()
    }

    /// The shields of each run that has any, with or without lifted ones.
    pub(super) async fn shields(&self, with_lifted: bool) -> Result<Accepted> {
        let shields: Vec<(String, i64, String, Option<i64>)> = sqlx::query_as(
            "select region, run, domain, confirmed_below from run_shields where $1 or not lifted",
        )
        .bind(with_lifted)
        .fetch_all(&self.pool)
        .await?;
        let mut all = Accepted::new();
        for (region, run, domain, confirmed) in shields {
            let region = Region::from_name(&region).context("an unknown region")?;
            let confirmed = confirmed.map(u32::try_from).transpose()?;
            all.entry((region, u32::try_from(run)?)).or_default().insert(domain, confirmed);
        }
        Ok(all)
    }

    /// The position of each partition, and the offset up to which the ledger counts it.
    pub(super) async fn positions(&self) -> Result<BTreeMap<Spot, (i64, i64)>> {
        let rows: Vec<(String, i32, i64, i64)> =
            sqlx::query_as("select topic, partition, position, counted_to from positions")
                .fetch_all(&self.pool)
                .await?;
        let spot = |(topic, partition, position, counted_to): (String, i32, i64, i64)| {
            let kind = Topics::new("").record_type(&topic).context("an unknown topic")?;
            Ok(((kind, partition), (position, counted_to)))
        };
        rows.into_iter().map(spot).collect()
    }

    /// Sets all positions to the beginning. The ledger counts nothing, as in a rebuild of existing tables.
    pub(super) async fn count_nothing_from_the_beginning(&self) -> Result<()> {
        let set = "update positions set position = 0, counted_to = 9223372036854775807";
        sqlx::query(set).execute(&self.pool).await?;
        Ok(())
    }

    /// A pool for a consumer that will be killed.
    pub(super) fn one_connection(&self) -> PgPool {
        let options = (*self.pool.connect_options()).clone();
        self.pool.options().clone().max_connections(1).connect_lazy_with(options)
    }

    /// Deletes rows and changes others in every catalog table.
    pub(super) async fn damage(&self) -> Result<()> {
        for table in ["dataset_stats", "domains", "hosts", "agencies"] {
            let damage = format!(
                "delete from socrata_{table} where last_page % 2 = 0; update socrata_{table} set last_page = 0"
            );
            raw_sql(AssertSqlSafe(damage)).execute(&self.pool).await?;
        }
        let datasets = "delete from socrata_datasets where id < 'aaaa-0002'; update socrata_datasets set retired_at = now()";
        raw_sql(datasets).execute(&self.pool).await?;
        Ok(())
    }

    /// Makes the tables equal to others with the statements of a rebuild. Returns the number of rows that differed.
    pub(super) async fn make_equal_to(&self, other: &Self) -> Result<i64> {
        let schemas = (self.args.schema.as_str(), other.args.schema.as_str());
        rebuild::make_equal(&mut *self.pool.acquire().await?, schemas, &Topics::new("")).await
    }

    /// The same tables at another port.
    pub(super) fn at_port(&self, port: u16) -> DatabaseArgs {
        let url = (*self.pool.connect_options()).clone().host("127.0.0.1").port(port).to_url_lossy();
        DatabaseArgs { database_url: Some(url.to_string().into()), ..self.args.clone() }
    }

    /// The server's address.
    pub(super) fn server(&self) -> (String, u16) {
        let options = self.pool.connect_options();
        (options.get_host().to_owned(), options.get_port())
    }

    /// Drops the tables.
    pub(super) async fn drop(self) -> Result<()> {
        let drop = format!("drop schema {} cascade", self.args.schema);
        raw_sql(AssertSqlSafe(drop)).execute(&self.pool).await?;
        self.pool.close().await;
        Ok(())
    }
}
