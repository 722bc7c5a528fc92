//! Classification of PostgreSQL's errors by SQLSTATE: transient, caused by a row, or neither. PgBouncer uses one SQLSTATE
//! for all its errors, so they are classified by their text.

use std::io;

use catalog_shared::tls_alert;
use sqlx::Error;

mod cause;

pub(crate) use cause::RetryCause;

/// Transient classes and codes. All other errors are permanent: a missing permission, table or database, a wrong
/// password.
const TRANSIENT: [&str; 14] = [
    "08",    // connection exceptions
    "25006", // read only: a standby server, until a failover has finished
    "25P03", // idle in transaction timeout, such as of a suspended client
    "25P04", // transaction timeout
    "40001", // serialization failure
    "40P01", // deadlock
    "53",    // out of disk, memory, connections …
    "55P03", // lock timeout
    "57014", // cancelled by an operator or by a timeout
    "57P01", // the server shuts down
    "57P02", // the server crashed
    "57P03", // the server starts
    "57P05", // idle session timeout
    "58030", // I/O error of the server's disk
];

/// Error classes that a single row causes.
const CAUSED_BY_A_ROW: [&str; 5] = [
    "22", // data exceptions
    "23", // constraints
    "44", // check options of views
    "54", // program limits, such as the size of an index entry
    "P0", // raised by a trigger function
];

/// Transient errors of PgBouncer, which all have the code 08P01: its own messages, and messages of a server that rejected
/// its connection. All its other errors are permanent: a wrong password, an unknown user or database, an unsupported
/// parameter.
const TRANSIENT_AT_POOLER: [&str; 14] = [
    "query timeout",
    "query_timeout",
    "query_wait_timeout",
    "idle timeout",
    "idle transaction timeout",
    "client_idle_timeout",
    "client_login_timeout",
    "suspend_timeout",
    "connect failed",
    "cannot connect",
    "server conn crashed",
    "server login has been failing",
    "server connections dropped",
    "the database system is", // starting up, shutting down, in recovery: a message of the server
];

/// Messages of a pooler, or of the server behind it, about too many connections.
const TOO_MANY_CONNECTIONS: [&str; 4] = [
    "no more connections allowed",
    "too many clients already",
    "too many connections for",
    "remaining connection slots",
];

/// Permanent errors of the server behind a pooler. The pooler repeats them in a message that looks transient.
const PERMANENT_AT_POOLER: [&str; 4] =
    ["authentication failed", "does not exist", "no pg_hba.conf entry", "not permitted"];

/// Messages of a pooler about a statement timeout.
const STATEMENT_TIMEOUT_AT_POOLER: [&str; 2] = ["query timeout", "query_timeout"];

/// Whether an error of the database is transient, so that a retry may succeed.
pub(crate) fn is_transient(error: &anyhow::Error) -> bool {
    database_error(error).is_some_and(is_transient_error)
}

fn is_transient_error(error: &Error) -> bool {
    match error {
        // With TLS 1.3 a refused client certificate is reported after the handshake, like a broken connection.
        Error::Io(cause) => !tls_alert::refuses_certificate(&cause.to_string()),
        Error::PoolTimedOut | Error::WorkerCrashed => true,
        // A connection that broke during the TLS handshake is transient; a rejected certificate is not.
        Error::Tls(cause) => anyhow::Chain::new(&**cause).any(|cause| cause.is::<io::Error>()),
        other => match pooler_message(other) {
            Some(message) => {
                contains_any(message, &TOO_MANY_CONNECTIONS)
                    || (contains_any(message, &TRANSIENT_AT_POOLER)
                        && !contains_any(message, &PERMANENT_AT_POOLER))
            }
            None => has_code(other, &TRANSIENT),
        },
    }
}

/// The message of an error with the code of a protocol violation. Only poolers use that code here, except for data of COPY
/// that can't be parsed (see [`rejects_copy`]).
fn pooler_message(error: &Error) -> Option<&str> {
    let error =
        error.as_database_error().filter(|error| error.code().as_deref() == Some(PROTOCOL_VIOLATION))?;
    Some(error.message())
}

const PROTOCOL_VIOLATION: &str = "08P01";

fn contains_any(message: &str, known: &[&str]) -> bool {
    known.iter().any(|known| message.contains(known))
}

/// Whether the error comes from a pooler and not from the server behind it.
pub(crate) fn is_pooler_error(error: &Error) -> bool {
    pooler_message(error).is_some()
}

/// Whether an operator or a timeout cancelled the statement. Its transaction has certainly failed.
pub(crate) fn is_cancelled(error: &Error) -> bool {
    has_code(error, &["57014"])
}

/// Like [`is_cancelled`], for an error with context.
pub(crate) fn was_cancelled(error: &anyhow::Error) -> bool {
    database_error(error).is_some_and(is_cancelled)
}

/// Whether a statement or its transaction timed out: a smaller batch may succeed.
pub(crate) fn is_timed_out(error: &anyhow::Error) -> bool {
    database_error(error).is_some_and(|error| {
        has_code(error, &["57014", "25P04"])
            || pooler_message(error)
                .is_some_and(|message| contains_any(message, &STATEMENT_TIMEOUT_AT_POOLER))
    })
}

/// Whether the server or a pooler rejected a connection because there are too many.
pub(crate) fn has_too_many_connections(error: &anyhow::Error) -> bool {
    database_error(error).is_some_and(|error| {
        has_code(error, &["53300"])
            || pooler_message(error).is_some_and(|message| contains_any(message, &TOO_MANY_CONNECTIONS))
    })
}

fn database_error(error: &anyhow::Error) -> Option<&Error> {
    error.chain().find_map(|cause| cause.downcast_ref::<Error>())
}

/// Whether the database rejected a row: a statement without that row may succeed.
pub(crate) fn refuses_a_row(error: &Error) -> bool {
    has_code(error, &CAUSED_BY_A_ROW)
}

/// Whether the database rejected a COPY for good, while the connection may still work. Then another statement may succeed:
/// one that does not need what COPY needs, or one whose error shows the row. A server reports data that it can't parse
/// with the code that poolers use, so an error of a pooler may be among them.
pub(crate) fn rejects_copy(error: &Error) -> bool {
    error.as_database_error().is_some() && !is_transient_error(error)
}

fn has_code(error: &Error, codes: &[&str]) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| codes.iter().any(|known| code.starts_with(known)))
}

#[cfg(test)]
mod tests;
