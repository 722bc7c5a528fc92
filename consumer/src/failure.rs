//! What PostgreSQL's errors mean for a batch, by SQLSTATE: whether they pass by themselves, or a row is at
//! fault, or neither.

use std::io;

use sqlx::Error;

/// Classes and codes that pass by themselves. Everything else lasts: a missing right, table or database, a
/// wrong password.
const PASSING: [&str; 14] = [
    "08",    // connection exceptions
    "25006", // read only: a server that is a standby, until a failover is through
    "25P03", // a transaction that idled too long, as one does whose client was stopped
    "25P04", // a transaction that took too long
    "40001", // serialization failure
    "40P01", // deadlock
    "53",    // out of disk, memory, connections …
    "55P03", // a lock that was not to be had in time
    "57014", // cancelled by a person or by a timeout
    "57P01", // the server shuts down
    "57P02", // the server crashed
    "57P03", // the server starts
    "57P05", // a session that idled too long
    "58030", // the server's disk gave an error
];

/// Classes of what a database says of a single row.
const OF_A_ROW: [&str; 5] = [
    "22", // data exceptions
    "23", // constraints
    "44", // check options of views
    "54", // program limits, such as the size of an index entry
    "P0", // raised by a function of a trigger
];

/// Whether an error of the database passes by itself, so that the same is worth trying again.
pub(crate) fn passes(error: &anyhow::Error) -> bool {
    error.chain().find_map(|cause| cause.downcast_ref::<Error>()).is_some_and(passes_by_itself)
}

fn passes_by_itself(error: &Error) -> bool {
    match error {
        Error::Io(_) | Error::PoolTimedOut | Error::WorkerCrashed => true,
        // A connection that was cut while it was being encrypted; a certificate that is refused lasts.
        Error::Tls(cause) => anyhow::Chain::new(&**cause).any(|cause| cause.is::<io::Error>()),
        other => has_code(other, &PASSING),
    }
}

/// Whether the database refuses a row: a statement with fewer rows may pass.
pub(crate) fn refuses_a_row(error: &Error) -> bool {
    has_code(error, &OF_A_ROW)
}

fn has_code(error: &Error, codes: &[&str]) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| codes.iter().any(|known| code.starts_with(known)))
}
