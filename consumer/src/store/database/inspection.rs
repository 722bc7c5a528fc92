//! Opens the database to look at it, even if its schema can't be used.

use catalog_shared::exit::Stop;
use sqlx::PgConnection;

use super::session::Sessions;
use super::{applied_migrations, known_migrations, url};
use crate::config::DatabaseArgs;

/// The state of the schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SchemaState {
    /// It fits this build: the number of its last migration.
    UpToDate(i64),
    /// It does not exist, or this user may not use it, for this reason.
    Unusable { exists: bool, reason: String },
    /// It has fewer migrations than this build.
    Outdated { applied: usize, known: usize },
    /// A newer build has migrated it.
    Newer,
}

/// The database's name and address, and the user.
///
/// # Errors
/// [`Stop::Usage`] if `DATABASE_URL` is missing or invalid.
pub(crate) fn address(args: &DatabaseArgs) -> Result<String, Stop> {
    Ok(url::address(&url::options(args)?))
}

/// Where the database is, for the command lines of PostgreSQL's tools.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DatabaseTarget {
    /// The host, or the folder of the socket.
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) user: String,
    pub(crate) database: String,
}

/// Where the database is.
///
/// # Errors
/// [`Stop::Usage`] if `DATABASE_URL` is missing or invalid.
pub(crate) fn target(args: &DatabaseArgs) -> Result<DatabaseTarget, Stop> {
    let options = url::options(args)?;
    let user = options.get_username().to_owned();
    let socket = options.get_socket().map(|socket| socket.display().to_string());
    Ok(DatabaseTarget {
        host: socket.unwrap_or_else(|| options.get_host().to_owned()),
        port: options.get_port(),
        database: options.get_database().unwrap_or(&user).to_owned(),
        user,
    })
}

/// Connects, checks for poolers that share sessions and for the encoding, and reads the state of the schema.
///
/// # Errors
/// The error of the database; [`Stop::Guard`] for such a pooler, or another encoding than UTF-8.
pub(crate) async fn inspect(args: &DatabaseArgs) -> anyhow::Result<(PgConnection, SchemaState)> {
    let (mut connection, session) = Sessions::from_args(args)?.open().await?;
    if let Err(reason) = session.check_schema(&args.schema) {
        return Ok((connection, SchemaState::Unusable { exists: session.schema_exists, reason }));
    }
    let (applied, known) = (applied_migrations(&mut connection).await?, known_migrations());
    let state = if !known.is_subset(&applied) {
        SchemaState::Outdated { applied: applied.intersection(&known).count(), known: known.len() }
    } else if !applied.is_subset(&known) {
        SchemaState::Newer
    } else {
        SchemaState::UpToDate(super::revision())
    };
    Ok((connection, state))
}
