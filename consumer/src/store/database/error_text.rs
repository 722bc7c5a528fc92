//! Errors of the database in words: each is said once, with where the database is.

use std::sync::{OnceLock, PoisonError, RwLock};

use anyhow::anyhow;
use catalog_shared::exit::Stop;
use sqlx::migrate::MigrateError;

/// The one database of this process. Errors of the client don't carry it.
static PLACE: OnceLock<RwLock<String>> = OnceLock::new();

pub(super) fn set_place(place: String) {
    *PLACE.get_or_init(RwLock::default).write().unwrap_or_else(PoisonError::into_inner) = place;
}

fn place() -> String {
    let place = PLACE.get().map(|place| place.read().unwrap_or_else(PoisonError::into_inner).clone());
    place.unwrap_or_else(|| "database unknown".to_owned())
}

/// An error as a person should read it. One that is no error of the database stays as it is, and so does one that has
/// an exit code of its own.
pub(crate) fn in_database_words(error: anyhow::Error) -> anyhow::Error {
    if error.is::<Stop>() || !error.chain().any(|cause| cause.is::<sqlx::Error>()) {
        return error;
    }
    anyhow!(in_words(&error))
}

/// All that an error says, its causes included.
pub(crate) fn in_words(error: &anyhow::Error) -> String {
    let mut parts = Vec::new();
    for cause in error.chain() {
        if let Some(error) = cause.downcast_ref::<sqlx::Error>() {
            // What is below says the same once more.
            parts.push(with_place(error));
            break;
        }
        match cause.downcast_ref::<MigrateError>() {
            Some(MigrateError::ExecuteMigration(_, version)) => parts.push(format!("migration {version}")),
            Some(MigrateError::Execute(_)) => {}
            _ => parts.push(cause.to_string()),
        }
    }
    parts.join(": ")
}

fn with_place(error: &sqlx::Error) -> String {
    let place = place();
    match code(error) {
        Some(code) => format!("{} (SQLSTATE {code}; {place})", message(error)),
        None => format!("{} ({place})", message(error)),
    }
}

/// What happened, in the database's words where they are its own.
pub(crate) fn message(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(error) => error.message().to_owned(),
        sqlx::Error::Io(error) => error.to_string(),
        sqlx::Error::Tls(error) => format!("TLS: {error}"),
        sqlx::Error::Configuration(error) => error.to_string(),
        sqlx::Error::Protocol(error) => format!("unexpected answer: {error}"),
        sqlx::Error::PoolTimedOut => "no connection became free in time".to_owned(),
        other => other.to_string(),
    }
}

/// The SQLSTATE of an answer of the database.
pub(crate) fn code(error: &sqlx::Error) -> Option<String> {
    let code = error.as_database_error().and_then(|error| error.code());
    code.map(|code| code.into_owned())
}
