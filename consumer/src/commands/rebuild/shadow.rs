//! The shadow: a schema beside the live one, with tables of the same names.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool, Postgres, Transaction, raw_sql};
use tokio::time::{interval, timeout};

use super::intent::Intent;
use crate::config::DatabaseArgs;
use crate::store::database;

/// How long the shadow's removal may take. What is left then, the next rebuild clears away.
const REMOVAL_TIMEOUT: Duration = Duration::from_secs(10);
/// How soon PostgreSQL has noticed that a rebuild has ended, and how often to ask.
const GONE_WITHIN: Duration = Duration::from_secs(3);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// The shadow's schema, and the one session that compares and mends.
pub(super) struct Shadow {
    pub(super) names: Names,
    /// Whether what the live schema lacks stands ready in the spare one.
    lacking: bool,
    /// Looks into the live schema. It holds the lock that keeps other rebuilds away for as long as it is open:
    /// what it commits is the word of the only one.
    pub(super) session: PgConnection,
    /// Looks into the shadow.
    pub(super) pool: PgPool,
}

/// The names of the schemas.
#[derive(Clone)]
pub(super) struct Names {
    pub(super) live: String,
    pub(super) shadow: String,
    /// Holds tables and views as the migrations make them, for a live schema that lacks some.
    pub(super) spare: String,
}

impl Shadow {
    /// Makes the shadow's empty tables, once what a killed rebuild has left is cleared away; and spare ones, where
    /// the live schema lacks some and is to be mended.
    ///
    /// # Errors
    /// When another rebuild is at work, or a schema is in the way that isn't a shadow.
    pub(super) async fn make(live: &DatabaseArgs, connections: u16, intent: Intent) -> anyhow::Result<Self> {
        let names = Names::of(&live.schema);
        let connections = u32::from(connections);
        let mut session = database::connect_migrated(live, connections + 1).await?;
        names.lock_out_others(&mut session).await?;
        names.clear_away(&mut session).await?;
        let args = DatabaseArgs { schema: names.shadow.clone(), ..live.clone() };
        names.make(&mut session, &args).await?;
        let lacking = intent == Intent::Mend && names.lacks(&mut session).await?;
        if lacking {
            names.set_aside(&mut session).await?;
            names.make(&mut session, &args).await?;
        }
        names.lighten(&mut session).await?;
        let pool = database::open_all(&args, connections, 1).await?;
        Ok(Self { names, lacking, session, pool })
    }

    /// Whether the live schema has all tables, but for those that stand ready: one that is gone can't be compared.
    ///
    /// # Errors
    /// Names the first that is gone.
    pub(super) async fn check_whole(&mut self) -> anyhow::Result<()> {
        let lost: Option<String> =
            sqlx::query_scalar(include_str!("../../../sql/rebuild/find_lost_table.sql"))
                .bind(format!("\"{}\"", self.names.shadow))
                .bind(self.lacking)
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
        sqlx::query(include_str!("../../../sql/rebuild/analyze_shadow.sql")).execute(&self.pool).await?;
        Ok(())
    }

    /// Gives the live schema the tables and views that it lacks, in the transaction that fills them.
    pub(super) async fn restore(names: &Names, tx: &mut PgConnection) -> anyhow::Result<()> {
        let statements = names.statements(tx, &names.spare).await?;
        if statements.is_empty() {
            return Ok(());
        }
        tracing::warn!(schema = names.live, "tables or views are gone: making them anew");
        let made = raw_sql(AssertSqlSafe(statements.join(";\n"))).execute(tx).await;
        made.context("can't make the tables and views that are gone")?;
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
        match timeout(REMOVAL_TIMEOUT, removing).await {
            Ok(removed) => removed,
            Err(_) => bail!("the schema {} is left behind: PostgreSQL does not answer", self.names.shadow),
        }
    }
}

impl Names {
    pub(super) fn of(live: &str) -> Self {
        Self { live: live.to_owned(), shadow: beside(live, "_rebuild"), spare: beside(live, "_restore") }
    }

    /// As [`Shadow::begin`].
    pub(super) async fn begin<'a>(
        &self,
        session: &'a mut PgConnection,
    ) -> sqlx::Result<Transaction<'a, Postgres>> {
        let mut tx = session.begin().await?;
        look_into(&mut tx, &self.shadow).await?;
        raw_sql(include_str!("../../../sql/rebuild/create_shadow_views.sql")).execute(&mut *tx).await?;
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
        for schema in [&self.shadow, &self.spare] {
            let found: Option<Option<String>> =
                sqlx::query_scalar(include_str!("../../../sql/rebuild/find_shadow.sql"))
                    .bind(schema)
                    .fetch_optional(&mut *session)
                    .await?;
            let Some(comment) = found else { continue };
            if comment != Some(self.comment()) {
                bail!(
                    "the schema {schema} is in the way: rebuilding needs this name, and it holds something else"
                );
            }
            self.execute(session, format!("drop schema \"{schema}\" cascade")).await?;
        }
        Ok(())
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

    /// Makes the shadow's tables cheap to fill. Each statement names the schema, and there is none where the schema is
    /// no shadow of ours.
    async fn lighten(&self, session: &mut PgConnection) -> anyhow::Result<()> {
        let statements: Vec<String> =
            sqlx::query_scalar(include_str!("../../../sql/rebuild/drop_shadow_overhead.sql"))
                .bind(&self.shadow)
                .bind(self.comment())
                .fetch_all(&mut *session)
                .await?;
        self.execute(session, statements.join(";\n")).await
    }

    /// Whether the live schema lacks any table or view that the shadow has.
    async fn lacks(&self, session: &mut PgConnection) -> anyhow::Result<bool> {
        let mut tx = session.begin().await?;
        let lacks = !self.statements(&mut tx, &self.shadow).await?.is_empty();
        tx.rollback().await?;
        Ok(lacks)
    }

    /// Puts the shadow's tables aside, which are as the migrations make them.
    async fn set_aside(&self, session: &mut PgConnection) -> anyhow::Result<()> {
        let Self { shadow, spare, .. } = self;
        self.execute(session, format!("alter schema \"{shadow}\" rename to \"{spare}\"")).await
    }

    /// The statements that give the live schema what it lacks out of this one. The transaction looks into the
    /// live one after that.
    async fn statements(&self, tx: &mut PgConnection, whole: &str) -> sqlx::Result<Vec<String>> {
        look_into(tx, whole).await?;
        let statements = sqlx::query_scalar(include_str!("../../../sql/rebuild/restore_lost.sql"))
            .bind(&self.live)
            .bind(whole)
            .fetch_all(&mut *tx)
            .await?;
        look_into(tx, &self.live).await?;
        Ok(statements)
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
    sqlx::query_scalar(include_str!("../../../sql/rebuild/try_lock.sql")).fetch_one(session).await
}

async fn look_into(tx: &mut PgConnection, schema: &str) -> sqlx::Result<()> {
    sqlx::query(include_str!("../../../sql/rebuild/set_search_path.sql"))
        .bind(format!("\"{schema}\""))
        .execute(tx)
        .await?;
    Ok(())
}

/// The name of a schema beside the live one. It takes at most 63 bytes: of a long one the end gives way to a hash.
fn beside(live: &str, suffix: &str) -> String {
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
    fn a_shadow_has_a_name_of_its_own_that_postgresql_takes_whole() {
        let shadow_name = |live: &str| Names::of(live).shadow;
        assert_eq!(shadow_name("catalog"), "catalog_rebuild");
        let (one, other) = (format!("{}1", "a".repeat(62)), format!("{}2", "a".repeat(62)));
        assert_eq!(shadow_name(&one).len(), 63);
        assert_ne!(shadow_name(&one), shadow_name(&other));
    }
}
