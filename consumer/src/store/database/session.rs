//! Sessions: what each connection sets before it is used, and what it checks then.
//!
//! Everything is set by statements. What a client asks for when it connects (`options`) a pooler may drop without a
//! word, and then all statements, which name no schema, would look into `public`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use catalog_shared::exit::Stop;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{Connection, FromRow, PgConnection, raw_sql};
use tokio::time::sleep;

use super::statement::insist;
use super::{error_text, pooler, url};
use crate::config::DatabaseArgs;
use crate::store::db_error;

/// How long a connection may take. The loop of a consumer waits for one now and then, and must not be kept
/// from receiving for long.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The setting of each session that has the identity of the tables as it was at the program's start. The schema
/// lock compares it with the identity of the tables now.
const IDENTITY_SETTING: &str = "catalog_stream.identity";

pub(super) const MIGRATE_FIRST: &str = "run `catalog-consumer migrate` first, or `run --migrate`";

/// How long a transaction of a pool may rest between two statements until the server ends it. A member that was put
/// to sleep, or whose machine is gone, would else hold its partition's position for as long as its
/// connection lives, and no other member could take over. Well under the group's session.
const IDLE_IN_TRANSACTION: &str = "10s";
/// A connection of its own may rest.
const NEVER: &str = "0";

/// How soon a server has noticed that a connection was closed, and how often to ask.
const GONE_WITHIN: Duration = Duration::from_secs(2);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// What a client before us may have left in a session, where a pooler does not clean up.
const CLEAR: &str = "deallocate all; discard temp; select pg_advisory_unlock_all()";

/// Connects to one schema of the database.
#[derive(Clone)]
pub(crate) struct Sessions {
    options: PgConnectOptions,
    schema: Arc<str>,
    /// The identity that the tables must have when something is written; empty for any.
    identity: Arc<str>,
}

impl Sessions {
    /// For the schema that the command line names.
    ///
    /// # Errors
    /// [`Stop::Usage`] where `DATABASE_URL` can't be used.
    pub(crate) fn of(args: &DatabaseArgs) -> Result<Self, Stop> {
        let options = url::options(args)?;
        error_text::set_place(url::place(&options));
        Ok(Self { options, schema: args.schema.as_str().into(), identity: "".into() })
    }

    /// Sessions that write only to the tables of this identity.
    pub(super) fn expecting(self, identity: &str) -> Self {
        Self { identity: identity.into(), ..self }
    }

    /// A connection that is ready, in a database that can hold the tables. The schema need not be there.
    ///
    /// # Errors
    /// What the database says; [`Stop::Guard`] for a pooler that shares sessions, or another encoding than UTF-8.
    pub(super) async fn open(&self) -> anyhow::Result<(PgConnection, Found)> {
        let mut connection = self.connect_bare().await?;
        pooler::refuse_shared(&mut connection, &self.options).await?;
        let found = self.prepare(&mut connection, NEVER).await?;
        found.check_encoding()?;
        Ok((connection, found))
    }

    /// As [`Sessions::open`], where the schema is there and may be used.
    ///
    /// # Errors
    /// As [`Sessions::open`]; names the schema that is not there, or the right that is missing.
    pub(super) async fn open_schema(&self) -> anyhow::Result<PgConnection> {
        let (connection, found) = self.open().await?;
        found.check_schema(&self.schema).map_err(anyhow::Error::msg)?;
        Ok(connection)
    }

    /// Whether connections can be had and used again; what is known of the way to the database is not asked again.
    ///
    /// # Errors
    /// What the database says.
    pub(crate) async fn try_one(&self) -> anyhow::Result<()> {
        let mut connection = self.connect_bare().await?;
        let found = self.prepare(&mut connection, NEVER).await?;
        found.check_schema(&self.schema).map_err(anyhow::Error::msg)?;
        Ok(connection.close().await?)
    }

    /// A pool that makes its connections ready as they are opened.
    pub(super) fn pool(&self, connections: u32) -> PgPool {
        let sessions = self.clone();
        let pool = PgPoolOptions::new().max_connections(connections).acquire_timeout(CONNECT_TIMEOUT);
        let pool = pool.after_connect(move |connection, _| {
            let sessions = sessions.clone();
            Box::pin(async move {
                let found = sessions.prepare_raw(connection, IDLE_IN_TRANSACTION).await?;
                // The pool tries again until it gives up, and then `try_one` says why.
                found.check_schema(&sessions.schema).map_err(|what| sqlx::Error::Configuration(what.into()))
            })
        });
        pool.connect_lazy_with(self.options.clone())
    }

    /// Waits for a moment where there are too many connections: the server counts one that was closed for a little
    /// longer, and it may have been of the command before.
    async fn connect_bare(&self) -> anyhow::Result<PgConnection> {
        let deadline = Instant::now() + GONE_WITHIN;
        loop {
            let connected = PgConnection::connect_with(&self.options).await;
            let connected = connected.context("can't connect to the database (DATABASE_URL)");
            match connected {
                Err(error) if db_error::has_too_many_connections(&error) && Instant::now() < deadline => {
                    sleep(LOOK_AGAIN).await;
                }
                connected => return connected,
            }
        }
    }

    async fn prepare(&self, connection: &mut PgConnection, idle: &str) -> anyhow::Result<Found> {
        self.prepare_raw(connection, idle).await.context("can't set up the session")
    }

    async fn prepare_raw(&self, connection: &mut PgConnection, idle: &str) -> sqlx::Result<Found> {
        insist(connection, "set statement_timeout = 0").await?;
        raw_sql(CLEAR).execute(&mut *connection).await?;
        sqlx::query(include_str!("../../../sql/session/apply_settings.sql"))
            .bind(format!("\"{}\"", self.schema))
            .bind(idle)
            .execute(&mut *connection)
            .await?;
        expect(connection, &self.identity).await?;
        sqlx::query_as(include_str!("../../../sql/session/inspect.sql"))
            .bind(&*self.schema)
            .fetch_one(connection)
            .await
    }
}

/// Sets the identity that the schema lock expects; empty for any.
pub(super) async fn expect(connection: &mut PgConnection, identity: &str) -> sqlx::Result<()> {
    sqlx::query("select set_config($1, $2, false)")
        .bind(IDENTITY_SETTING)
        .bind(identity)
        .execute(connection)
        .await?;
    Ok(())
}

/// What a session finds.
#[derive(Debug, FromRow)]
pub(super) struct Found {
    /// The schema that statements look into; none where the one that was asked for can't be used.
    looks_into: Option<String>,
    username: String,
    pub(super) is_there: bool,
    may_use: bool,
    pub(super) may_create: bool,
    encoding: String,
}

impl Found {
    /// # Errors
    /// [`Stop::Guard`] for another encoding: it could not hold all names, or would hold them as unchecked bytes.
    fn check_encoding(&self) -> Result<(), Stop> {
        if self.encoding == "UTF8" {
            return Ok(());
        }
        Err(Stop::Guard(format!(
            "the database's encoding is {}, and the catalog needs UTF8: make another database, `create database NAME \
             encoding 'UTF8' template template0`",
            self.encoding
        )))
    }

    /// # Errors
    /// Says what is wrong with the schema, and what to do.
    pub(super) fn check_schema(&self, schema: &str) -> Result<(), String> {
        let user = &self.username;
        if !self.is_there {
            return Err(format!("there is no schema {schema}: {}", MIGRATE_FIRST));
        }
        if !self.may_use {
            return Err(format!(
                "the user {user} may not use the schema {schema}. Its owner has to run: GRANT USAGE ON SCHEMA {} TO {}; \
                 docs/how-to/set-up-postgresql.md has the rights that each command needs",
                quoted(schema),
                quoted(user)
            ));
        }
        if self.looks_into.as_deref() != Some(schema) {
            let other = self.looks_into.as_deref().unwrap_or("none");
            return Err(format!("the session looks into the schema {other} instead of {schema}"));
        }
        Ok(())
    }

    /// # Errors
    /// Says who lacks the right to make tables in the schema.
    pub(super) fn check_may_create(&self, schema: &str) -> anyhow::Result<()> {
        if self.may_create {
            return Ok(());
        }
        let user = &self.username;
        bail!(
            "the user {user} may not make tables in the schema {schema}. Its owner has to run: GRANT USAGE, CREATE ON \
             SCHEMA {} TO {}; or has to migrate",
            quoted(schema),
            quoted(user)
        )
    }
}

/// A name as a statement has it.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
