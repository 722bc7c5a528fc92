//! The shadow: a schema beside the live one, with tables of the same names.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool, Postgres, Transaction, raw_sql};
use tokio::time::{interval, timeout};

use super::Intent;
use crate::cli::DatabaseArgs;
use crate::database;

/// How long the shadow's removal may take. What is left then, the next rebuild clears away.
const PATIENCE: Duration = Duration::from_secs(10);
/// How soon PostgreSQL has noticed that a rebuild has ended, and how often to ask.
const GONE_WITHIN: Duration = Duration::from_secs(3);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// The shadow's schema, and the one session that compares and mends.
pub(super) struct Shadow {
    names: Names,
    /// Looks into the live schema. It holds the lock that keeps other rebuilds away for as long as it is open:
    /// what it commits is the word of the only one.
    pub(super) session: PgConnection,
    /// Looks into the shadow.
    pub(super) pool: PgPool,
}

/// The names of the two schemas.
pub(super) struct Names {
    pub(super) live: String,
    pub(super) shadow: String,
}

impl Shadow {
    /// Makes the shadow's empty tables, once what a killed rebuild has left is cleared away. What the live schema
    /// lacks of them and is to be mended, it is given first, empty as well.
    ///
    /// # Errors
    /// When another rebuild is at work, or a schema is in the way that isn't a shadow.
    pub(super) async fn make(live: &DatabaseArgs, connections: u16, intent: Intent) -> anyhow::Result<Self> {
        let names = Names { live: live.schema.clone(), shadow: shadow_name(&live.schema) };
        let mut session = database::connect_migrated(live).await?;
        names.lock_out_others(&mut session).await?;
        names.clear_away(&mut session).await?;
        let args = DatabaseArgs { schema: names.shadow.clone(), ..live.clone() };
        names.make(&mut session, &args).await?;
        if intent == Intent::Mend && names.restore(&mut session).await? {
            names.clear_away(&mut session).await?;
            names.make(&mut session, &args).await?;
        }
        let pool = database::open(&args, u32::from(connections)).await?;
        raw_sql(include_str!("../../sql/rebuild/lighten_shadow.sql")).execute(&pool).await?;
        Ok(Self { names, session, pool })
    }

    /// Whether the live schema has all tables: one that is gone can't be compared.
    ///
    /// # Errors
    /// Names the first that is gone.
    pub(super) async fn check_whole(&mut self) -> anyhow::Result<()> {
        let lost: Option<String> = sqlx::query_scalar(include_str!("../../sql/rebuild/find_lost_table.sql"))
            .bind(format!("\"{}\"", self.names.shadow))
            .fetch_optional(&mut self.session)
            .await?;
        let Some(table) = lost else { return Ok(()) };
        let cure = if table.starts_with("socrata_") {
            "`rebuild` makes it anew"
        } else {
            "fill a new schema, `rebuild --migrate --schema NAME`"
        };
        bail!("the schema {} has no table {table} any more: {cure}", self.names.live)
    }

    /// Lets the planner know how much there is.
    pub(super) async fn analyze(&self) -> sqlx::Result<()> {
        sqlx::query(include_str!("../../sql/rebuild/analyze_shadow.sql")).execute(&self.pool).await?;
        Ok(())
    }

    /// Begins a transaction that looks into the live schema and sees the shadow's tables as views,
    /// `shadow_hosts` and so on.
    pub(super) async fn begin(&mut self) -> sqlx::Result<Transaction<'_, Postgres>> {
        self.names.begin(&mut self.session).await
    }

    /// Drops the shadow.
    pub(super) async fn remove(mut self) -> anyhow::Result<()> {
        let removing = async {
            self.pool.close().await;
            self.names.clear_away(&mut self.session).await?;
            anyhow::Ok(self.session.close().await?)
        };
        match timeout(PATIENCE, removing).await {
            Ok(removed) => removed,
            Err(_) => bail!("the schema {} is left behind: PostgreSQL does not answer", self.names.shadow),
        }
    }
}

impl Names {
    /// As [`Shadow::begin`].
    pub(super) async fn begin<'a>(
        &self,
        session: &'a mut PgConnection,
    ) -> sqlx::Result<Transaction<'a, Postgres>> {
        let mut tx = session.begin().await?;
        look_into(&mut tx, &self.shadow).await?;
        raw_sql(include_str!("../../sql/rebuild/name_shadow.sql")).execute(&mut *tx).await?;
        look_into(&mut tx, &self.live).await?;
        Ok(tx)
    }

    async fn lock_out_others(&self, session: &mut PgConnection) -> anyhow::Result<()> {
        let deadline = Instant::now() + GONE_WITHIN;
        let mut again = interval(LOOK_AGAIN);
        while !try_lock(session).await? {
            if Instant::now() >= deadline {
                bail!("another `rebuild` or `verify --topics` is at work on the schema {}", self.live);
            }
            again.tick().await;
        }
        Ok(())
    }

    async fn clear_away(&self, session: &mut PgConnection) -> anyhow::Result<()> {
        let Self { shadow, .. } = self;
        let found: Option<Option<String>> =
            sqlx::query_scalar(include_str!("../../sql/rebuild/find_shadow.sql"))
                .bind(shadow)
                .fetch_optional(&mut *session)
                .await?;
        let Some(comment) = found else { return Ok(()) };
        if comment != Some(self.comment()) {
            bail!(
                "the schema {shadow} is in the way: rebuilding needs this name, and it holds something else"
            );
        }
        self.execute(session, format!("drop schema \"{shadow}\" cascade")).await
    }

    /// Makes the schema, telling in its comment what it is in the same transaction, and its tables.
    async fn make(&self, session: &mut PgConnection, args: &DatabaseArgs) -> anyhow::Result<()> {
        let (shadow, comment) = (&self.shadow, self.comment());
        let make = format!(
            "begin; create schema \"{shadow}\"; comment on schema \"{shadow}\" is '{comment}'; commit"
        );
        self.execute(session, make).await?;
        database::migrate(args).await
    }

    /// Gives the live schema the tables and views that it lacks, all or none; tells whether there were any.
    async fn restore(&self, session: &mut PgConnection) -> anyhow::Result<bool> {
        let mut tx = session.begin().await?;
        look_into(&mut tx, &self.shadow).await?;
        let statements: Vec<String> = sqlx::query_scalar(include_str!("../../sql/rebuild/restore_lost.sql"))
            .bind(&self.live)
            .bind(&self.shadow)
            .fetch_all(&mut *tx)
            .await?;
        if statements.is_empty() {
            return Ok(false);
        }
        tracing::warn!(schema = self.live, "tables or views are gone: making them anew");
        look_into(&mut tx, &self.live).await?;
        let made = raw_sql(AssertSqlSafe(statements.join(";\n"))).execute(&mut *tx).await;
        made.context("can't make the tables and views that are gone")?;
        tx.commit().await?;
        Ok(true)
    }

    /// Schemas' names can't be parameters; these are checked by the command line.
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
    sqlx::query_scalar(include_str!("../../sql/rebuild/try_lock.sql")).fetch_one(session).await
}

async fn look_into(tx: &mut PgConnection, schema: &str) -> sqlx::Result<()> {
    sqlx::query(include_str!("../../sql/rebuild/look_into.sql"))
        .bind(format!("\"{schema}\""))
        .execute(tx)
        .await?;
    Ok(())
}

/// A name takes at most 63 bytes: of a long one the end gives way to a hash.
fn shadow_name(live: &str) -> String {
    const SUFFIX: &str = "_rebuild";
    if live.len() + SUFFIX.len() <= 63 {
        return format!("{live}{SUFFIX}");
    }
    let hash = blake3::hash(live.as_bytes()).to_hex();
    format!("{}_{}{SUFFIX}", &live[..46], &hash[..8])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shadow_has_a_name_of_its_own_that_postgresql_takes_whole() {
        assert_eq!(shadow_name("catalog"), "catalog_rebuild");
        let (one, other) = (format!("{}1", "a".repeat(62)), format!("{}2", "a".repeat(62)));
        assert_eq!(shadow_name(&one).len(), 63);
        assert_ne!(shadow_name(&one), shadow_name(&other));
    }
}
