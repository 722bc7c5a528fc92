//! The shadow: a temporary schema with tables of the same names as the live schema.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use catalog_shared::events;
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool, Postgres, Transaction, raw_sql};
use tokio::time::{interval, timeout};

use super::intent::Intent;
use crate::config::DatabaseArgs;
use crate::store::database;

/// Timeout for dropping the shadow. The next rebuild drops what is left.
const REMOVAL_TIMEOUT: Duration = Duration::from_secs(10);
/// How long to retry the lock, because PostgreSQL may notice late that another rebuild has ended; and the delay between tries.
const LOCK_TIMEOUT: Duration = Duration::from_secs(3);
const LOCK_RETRY_DELAY: Duration = Duration::from_millis(50);

/// The shadow schema, and the session that compares and repairs.
pub(super) struct Shadow {
    pub(super) names: SchemaNames,
    /// Whether the spare schema contains the tables and views that the live schema lacks.
    pub(super) has_spare: bool,
    /// The session in the live schema. It holds the lock that excludes other rebuilds until it is closed, so no other
    /// rebuild changes the tables before it commits.
    pub(super) session: PgConnection,
    /// Connections in the shadow schema.
    pub(super) pool: PgPool,
}

/// The names of the schemas.
#[derive(Clone)]
pub(super) struct SchemaNames {
    pub(super) live: String,
    pub(super) shadow: String,
    /// The schema with newly migrated tables and views, if the live schema lacks some.
    pub(super) spare: String,
}

impl Shadow {
    /// Drops what a killed rebuild left, then creates the empty tables of the shadow. If the live schema lacks tables and
    /// will be repaired, this creates spare tables too.
    ///
    /// # Errors
    /// Another rebuild is running, or a schema of this name is not a shadow.
    pub(super) async fn create(
        live: &DatabaseArgs,
        connections: u16,
        intent: Intent,
    ) -> anyhow::Result<Self> {
        let names = SchemaNames::of(&live.schema);
        let connections = u32::from(connections);
        let mut session = database::connect_migrated(live, connections + 1).await?;
        names.lock(&mut session).await?;
        names.drop_leftovers(&mut session).await?;
        let args = DatabaseArgs { schema: names.shadow.clone(), ..live.clone() };
        names.create(&mut session, &args).await?;
        let has_spare = intent == Intent::Repair && names.is_incomplete(&mut session).await?;
        if has_spare {
            names.move_to_spare(&mut session).await?;
            names.create(&mut session, &args).await?;
        }
        names.relax(&mut session).await?;
        let pool = database::open_all(&args, connections, 1).await?;
        Ok(Self { names, has_spare, session, pool })
    }

    /// Checks that the live schema has all tables, except those in the spare schema. A missing table can't be compared.
    ///
    /// # Errors
    /// Names the first missing table.
    pub(super) async fn check_complete(&mut self) -> anyhow::Result<()> {
        let missing: Option<String> =
            sqlx::query_scalar(include_str!("../../../sql/rebuild/find_missing_table.sql"))
                .bind(format!("\"{}\"", self.names.shadow))
                .bind(self.has_spare)
                .fetch_optional(&mut self.session)
                .await?;
        let Some(table) = missing else { return Ok(()) };
        let remedy = if table.starts_with("socrata_") {
            "`rebuild` recreates it"
        } else {
            "fill a new schema, `rebuild --migrate --schema NAME`"
        };
        bail!("the schema {} has no table {table}: {remedy}", self.names.live)
    }

    /// Collects statistics for the query planner.
    pub(super) async fn analyze(&self) -> sqlx::Result<()> {
        sqlx::query(include_str!("../../../sql/rebuild/analyze_shadow.sql")).execute(&self.pool).await?;
        Ok(())
    }

    /// Recreates missing tables and views of the live schema, in the transaction that fills them.
    pub(super) async fn recreate_missing(names: &SchemaNames, tx: &mut PgConnection) -> anyhow::Result<()> {
        let statements = names.missing_ddl(tx, &names.spare).await?;
        if statements.is_empty() {
            return Ok(());
        }
        tracing::warn!(
            event = events::TABLES_RECREATED,
            schema = names.live,
            "recreating missing tables and views"
        );
        let recreated = raw_sql(AssertSqlSafe(statements.join(";\n"))).execute(tx).await;
        recreated.context("can't recreate the missing tables and views")?;
        Ok(())
    }

    /// Begins a transaction in the live schema that sees the tables of the shadow as the views `shadow_hosts` and so on.
    pub(super) async fn begin(&mut self) -> sqlx::Result<Transaction<'_, Postgres>> {
        self.names.begin(&mut self.session).await
    }

    /// Like [`Shadow::begin`], but all statements of the transaction see the tables of one moment.
    pub(super) async fn begin_snapshot(&mut self) -> sqlx::Result<Transaction<'_, Postgres>> {
        let tx = self.session.begin_with("begin isolation level repeatable read").await?;
        self.names.show_shadow(tx).await
    }

    /// Drops the shadow.
    pub(super) async fn remove(mut self) -> anyhow::Result<()> {
        let removing = async {
            self.pool.close().await;
            self.names.drop_leftovers(&mut self.session).await?;
            anyhow::Ok(self.session.close().await?)
        };
        match timeout(REMOVAL_TIMEOUT, removing).await {
            Ok(removed) => removed,
            Err(_) => bail!("can't drop the schema {}: timed out", self.names.shadow),
        }
    }
}

impl SchemaNames {
    pub(super) fn of(live: &str) -> Self {
        Self { live: live.to_owned(), shadow: sibling(live, "_rebuild"), spare: sibling(live, "_restore") }
    }

    /// Like [`Shadow::begin`].
    pub(super) async fn begin<'a>(
        &self,
        session: &'a mut PgConnection,
    ) -> sqlx::Result<Transaction<'a, Postgres>> {
        self.show_shadow(session.begin().await?).await
    }

    /// Creates the views of the shadow's tables.
    async fn show_shadow<'a>(
        &self,
        mut tx: Transaction<'a, Postgres>,
    ) -> sqlx::Result<Transaction<'a, Postgres>> {
        set_search_path(&mut tx, &self.shadow).await?;
        raw_sql(include_str!("../../../sql/rebuild/create_shadow_views.sql")).execute(&mut *tx).await?;
        set_search_path(&mut tx, &self.live).await?;
        Ok(tx)
    }

    async fn lock(&self, session: &mut PgConnection) -> anyhow::Result<()> {
        let deadline = Instant::now() + LOCK_TIMEOUT;
        let mut again = interval(LOCK_RETRY_DELAY);
        while !try_lock(session).await? {
            if Instant::now() >= deadline {
                bail!("another `rebuild` or `verify --topics` is running on the schema {}", self.live);
            }
            again.tick().await;
        }
        Ok(())
    }

    async fn drop_leftovers(&self, session: &mut PgConnection) -> anyhow::Result<()> {
        for schema in [&self.shadow, &self.spare] {
            let found: Option<Option<String>> =
                sqlx::query_scalar(include_str!("../../../sql/rebuild/find_shadow.sql"))
                    .bind(schema)
                    .fetch_optional(&mut *session)
                    .await?;
            let Some(comment) = found else { continue };
            if comment != Some(self.comment()) {
                bail!(
                    "the schema {schema} is not a shadow, but the rebuild needs this name: rename or drop it"
                );
            }
            self.execute(session, format!("drop schema \"{schema}\" cascade")).await?;
        }
        Ok(())
    }

    /// Creates the schema and its tables. The same transaction sets the comment that identifies the schema as a shadow.
    async fn create(&self, session: &mut PgConnection, args: &DatabaseArgs) -> anyhow::Result<()> {
        let (shadow, comment) = (&self.shadow, self.comment());
        let create = format!(
            "begin; create schema \"{shadow}\"; comment on schema \"{shadow}\" is '{comment}'; commit"
        );
        self.execute(session, create).await?;
        database::migrate(args).await
    }

    /// Makes the tables of the shadow cheaper to fill: unlogged, and without most indexes. Each statement names the schema,
    /// and there are none if the schema is not a shadow of this program.
    async fn relax(&self, session: &mut PgConnection) -> anyhow::Result<()> {
        let statements: Vec<String> =
            sqlx::query_scalar(include_str!("../../../sql/rebuild/list_shadow_relaxations.sql"))
                .bind(&self.shadow)
                .bind(self.comment())
                .fetch_all(&mut *session)
                .await?;
        self.execute(session, statements.join(";\n")).await
    }

    /// Whether the live schema lacks a table or view that the shadow has.
    async fn is_incomplete(&self, session: &mut PgConnection) -> anyhow::Result<bool> {
        let mut tx = session.begin().await?;
        let is_incomplete = !self.missing_ddl(&mut tx, &self.shadow).await?.is_empty();
        tx.rollback().await?;
        Ok(is_incomplete)
    }

    /// Renames the newly created shadow to the spare schema.
    async fn move_to_spare(&self, session: &mut PgConnection) -> anyhow::Result<()> {
        let Self { shadow, spare, .. } = self;
        self.execute(session, format!("alter schema \"{shadow}\" rename to \"{spare}\"")).await
    }

    /// The statements that recreate missing tables and views of the live schema from a complete schema. The search path
    /// names the live schema afterwards.
    async fn missing_ddl(&self, tx: &mut PgConnection, complete: &str) -> sqlx::Result<Vec<String>> {
        set_search_path(tx, complete).await?;
        let statements = sqlx::query_scalar(include_str!("../../../sql/rebuild/list_missing_ddl.sql"))
            .bind(&self.live)
            .bind(complete)
            .fetch_all(&mut *tx)
            .await?;
        set_search_path(tx, &self.live).await?;
        Ok(statements)
    }

    /// Executes a statement with a schema name in its text, because names can't be parameters. The command line checks names.
    async fn execute(&self, session: &mut PgConnection, statement: String) -> anyhow::Result<()> {
        let done = raw_sql(AssertSqlSafe(statement)).execute(session).await;
        done.with_context(|| format!("the schema {}", self.shadow))?;
        Ok(())
    }

    fn comment(&self) -> String {
        format!("What catalog-consumer rebuilds {} in; may be dropped", self.live)
    }
}

async fn try_lock(session: &mut PgConnection) -> sqlx::Result<bool> {
    sqlx::query_scalar(include_str!("../../../sql/rebuild/try_lock.sql")).fetch_one(session).await
}

async fn set_search_path(tx: &mut PgConnection, schema: &str) -> sqlx::Result<()> {
    sqlx::query(include_str!("../../../sql/rebuild/set_search_path.sql"))
        .bind(format!("\"{schema}\""))
        .execute(tx)
        .await?;
    Ok(())
}

/// The name of a schema for the same tables. PostgreSQL allows 63 bytes, so a hash replaces the end of a long name.
fn sibling(live: &str, suffix: &str) -> String {
    if live.len() + suffix.len() <= 63 {
        return format!("{live}{suffix}");
    }
    let hash = blake3::hash(live.as_bytes()).to_hex();
    format!("{}_{}{suffix}", &live[..46], &hash[..8])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_shadow_is_unique_and_fits_in_postgresql() {
        let shadow_name = |live: &str| SchemaNames::of(live).shadow;
        assert_eq!(shadow_name("catalog"), "catalog_rebuild");
        let (one, other) = (format!("{}1", "a".repeat(62)), format!("{}2", "a".repeat(62)));
        assert_eq!(shadow_name(&one).len(), 63);
        assert_ne!(shadow_name(&one), shadow_name(&other));
    }
}
