//! Sessions: the settings and checks of each connection before it is used.
//!
//! All settings are made by statements. A pooler may silently drop start-up parameters (`options`), and then the
//! statements, which name no schema, would use `public`.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use catalog_shared::exit::Stop;
use secrecy::ExposeSecret;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{Connection, FromRow, PgConnection, raw_sql};
use tokio::time::sleep;

use super::certificates::{self, NamedFile};
use super::statement::execute_with_retries;
use super::{error_text, pooler, url};
use crate::config::DatabaseArgs;
use crate::store::answer_limit::within;
use crate::store::db_error;

/// Connect timeout. It is short because the receive loop of a consumer sometimes waits for a connection.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long it may take to open a session outside a pool. An address may accept connections without a server that answers: a
/// paused pooler, or a load balancer without a target. A server that starts, or wakes up, needs seconds.
const OPEN_LIMIT: Duration = Duration::from_secs(30);

/// The session setting with the identity of the tables at the program's start. The schema lock compares it with the
/// current identity.
const IDENTITY_SETTING: &str = "catalog_stream.identity";

pub(super) const MIGRATE_FIRST: &str = "run `catalog-consumer migrate` first, or `run --migrate`";

/// `idle_in_transaction_session_timeout` of pooled connections. Without it a member that is suspended or has lost its
/// machine would keep its partition's position locked as long as its connection exists, and block the next member.
/// Well below the group's session timeout.
const IDLE_IN_TRANSACTION: &str = "10s";
/// No idle timeout, for connections outside a pool.
const NO_TIMEOUT: &str = "0";

/// How long the server may take to notice a closed connection, and the interval between two attempts to connect.
const CLOSE_DELAY: Duration = Duration::from_secs(2);
const RECONNECT_INTERVAL: Duration = Duration::from_millis(50);

/// Resets a session that a pooler has not cleaned up after another client.
const RESET: &str = "deallocate all; discard temp; select pg_advisory_unlock_all()";

/// Connects to one schema of the database.
#[derive(Clone)]
pub(crate) struct Sessions {
    options: PgConnectOptions,
    /// They may be replaced at any time, so they are checked when a command opens its first session.
    files: Arc<[NamedFile]>,
    schema: Arc<str>,
    /// The identity that the tables must have for a write; empty for any.
    identity: Arc<str>,
}

impl Sessions {
    /// Sessions for the schema of the command line.
    ///
    /// # Errors
    /// [`Stop::Usage`] if `DATABASE_URL` is missing or invalid.
    pub(crate) fn from_args(args: &DatabaseArgs) -> Result<Self, Stop> {
        let options = url::options(args)?;
        error_text::set_address(url::address(&options));
        let files =
            args.database_url.as_ref().map_or_else(Vec::new, |url| certificates::files(url.expose_secret()));
        Ok(Self { options, files: files.into(), schema: args.schema.as_str().into(), identity: "".into() })
    }

    /// Sessions that write only to the tables of this identity.
    pub(super) fn expecting(self, identity: &str) -> Self {
        Self { identity: identity.into(), ..self }
    }

    /// A prepared connection to a database with a suitable encoding. The schema need not exist.
    ///
    /// # Errors
    /// The error of the database; [`Stop::Guard`] for a pooler that shares sessions, or another encoding than UTF-8.
    pub(super) async fn open(&self) -> anyhow::Result<(PgConnection, SessionState)> {
        certificates::check(&self.files)?;
        within(OPEN_LIMIT, self.open_session()).await
    }

    async fn open_session(&self) -> anyhow::Result<(PgConnection, SessionState)> {
        let mut connection = self.connect_bare().await?;
        pooler::refuse_shared(&mut connection, &self.options).await?;
        let state = self.prepare(&mut connection, NO_TIMEOUT).await?;
        state.check_encoding()?;
        Ok((connection, state))
    }

    /// Like [`Sessions::open`], for an existing schema with the right to use it.
    ///
    /// # Errors
    /// Same as [`Sessions::open`], or a message about the missing schema or privilege.
    pub(super) async fn open_schema(&self) -> anyhow::Result<PgConnection> {
        let (connection, state) = self.open().await?;
        state.check_schema(&self.schema).map_err(anyhow::Error::msg)?;
        Ok(connection)
    }

    /// Checks that connections work. The checks for poolers and encoding are not repeated.
    ///
    /// # Errors
    /// The error of the database.
    pub(crate) async fn probe(&self) -> anyhow::Result<()> {
        let mut connection = self.connect_bare().await?;
        let state = self.prepare(&mut connection, NO_TIMEOUT).await?;
        state.check_schema(&self.schema).map_err(anyhow::Error::msg)?;
        Ok(connection.close().await?)
    }

    /// A pool that prepares each connection when it is opened.
    pub(super) fn pool(&self, connections: u32) -> PgPool {
        let sessions = self.clone();
        let pool = PgPoolOptions::new().max_connections(connections).acquire_timeout(CONNECT_TIMEOUT);
        let pool = pool.after_connect(move |connection, _| {
            let sessions = sessions.clone();
            Box::pin(async move {
                let state = sessions.prepare_raw(connection, IDLE_IN_TRANSACTION).await?;
                // The pool retries until its timeout, and then `probe` returns the reason.
                state.check_schema(&sessions.schema).map_err(|what| sqlx::Error::Configuration(what.into()))
            })
        });
        // The pool checks each connection that it gets back, without a limit, and counts it meanwhile.
        let pool = pool.after_release(|connection, _| {
            Box::pin(async { within(CONNECT_TIMEOUT, connection.ping()).await.map(|()| true) })
        });
        pool.connect_lazy_with(self.options.clone())
    }

    /// Retries briefly if there are too many connections, because the server still counts a connection that the previous
    /// command has just closed. It also retries if the connection is reset, because a server that refuses a client certificate
    /// may close it before its reason has been read.
    async fn connect_bare(&self) -> anyhow::Result<PgConnection> {
        let deadline = Instant::now() + CLOSE_DELAY;
        loop {
            let connected = PgConnection::connect_with(&self.options).await;
            let connected = connected.context("can't connect to the database (DATABASE_URL)");
            match connected {
                Err(error)
                    if (db_error::has_too_many_connections(&error) || was_reset(&error))
                        && Instant::now() < deadline =>
                {
                    sleep(RECONNECT_INTERVAL).await;
                }
                connected => return connected,
            }
        }
    }

    async fn prepare(&self, connection: &mut PgConnection, idle: &str) -> anyhow::Result<SessionState> {
        self.prepare_raw(connection, idle).await.context("can't set up the session")
    }

    async fn prepare_raw(&self, connection: &mut PgConnection, idle: &str) -> sqlx::Result<SessionState> {
        execute_with_retries(connection, "set statement_timeout = 0").await?;
        raw_sql(RESET).execute(&mut *connection).await?;
        sqlx::query(include_str!("../../../sql/session/apply_settings.sql"))
            .bind(format!("\"{}\"", self.schema))
            .bind(idle)
            .execute(&mut *connection)
            .await?;
        set_expected_identity(connection, &self.identity).await?;
        sqlx::query_as(include_str!("../../../sql/session/inspect.sql"))
            .bind(&*self.schema)
            .fetch_one(connection)
            .await
    }
}

/// Whether the other side has reset the connection.
fn was_reset(error: &anyhow::Error) -> bool {
    let cause = error.chain().find_map(|cause| cause.downcast_ref());
    matches!(cause, Some(sqlx::Error::Io(cause)) if cause.kind() == io::ErrorKind::ConnectionReset)
}

/// Sets the identity that the schema lock compares; empty for any.
pub(super) async fn set_expected_identity(connection: &mut PgConnection, identity: &str) -> sqlx::Result<()> {
    sqlx::query("select set_config($1, $2, false)")
        .bind(IDENTITY_SETTING)
        .bind(identity)
        .execute(connection)
        .await?;
    Ok(())
}

/// The state of a session, and the user's privileges.
#[derive(Debug, FromRow)]
pub(super) struct SessionState {
    /// The session's current schema; `None` if the configured one can't be used.
    current_schema: Option<String>,
    username: String,
    pub(super) schema_exists: bool,
    may_use: bool,
    pub(super) may_create: bool,
    encoding: String,
}

impl SessionState {
    /// # Errors
    /// [`Stop::Guard`] for another encoding, which can't store all names or does not validate them.
    fn check_encoding(&self) -> Result<(), Stop> {
        if self.encoding == "UTF8" {
            return Ok(());
        }
        Err(Stop::Guard(format!(
            "the database's encoding is {}, but the catalog needs UTF8: create another database with `create database NAME \
             encoding 'UTF8' template template0`",
            self.encoding
        )))
    }

    /// # Errors
    /// A message with the problem of the schema and its solution.
    pub(super) fn check_schema(&self, schema: &str) -> Result<(), String> {
        let user = &self.username;
        if !self.schema_exists {
            return Err(format!("the schema {schema} does not exist: {}", MIGRATE_FIRST));
        }
        if !self.may_use {
            return Err(format!(
                "the user {user} may not use the schema {schema}. Its owner has to run: GRANT USAGE ON SCHEMA {} TO {}; \
                 docs/how-to/roles.md lists the privileges of each command",
                quoted(schema),
                quoted(user)
            ));
        }
        if self.current_schema.as_deref() != Some(schema) {
            let other = self.current_schema.as_deref().unwrap_or("none");
            return Err(format!("the session's current schema is {other} instead of {schema}"));
        }
        Ok(())
    }

    /// # Errors
    /// A message that names the user without the right to create tables.
    pub(super) fn check_may_create(&self, schema: &str) -> anyhow::Result<()> {
        if self.may_create {
            return Ok(());
        }
        let user = &self.username;
        bail!(
            "the user {user} may not create tables in the schema {schema}. Its owner has to run: GRANT USAGE, CREATE ON \
             SCHEMA {} TO {}; or has to migrate",
            quoted(schema),
            quoted(user)
        )
    }
}

/// A quoted identifier.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
