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

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::error::Error as StdError;
    use std::fmt;

    use sqlx::error::{DatabaseError, ErrorKind};

    use super::*;

    /// What PostgreSQL says, as far as it matters here.
    #[derive(Debug)]
    struct Said(&'static str);

    impl fmt::Display for Said {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl StdError for Said {}

    impl DatabaseError for Said {
        fn message(&self) -> &str {
            self.0
        }

        fn code(&self) -> Option<Cow<'_, str>> {
            Some(self.0.into())
        }

        fn as_error(&self) -> &(dyn StdError + Send + Sync + 'static) {
            self
        }

        fn as_error_mut(&mut self) -> &mut (dyn StdError + Send + Sync + 'static) {
            self
        }

        fn into_error(self: Box<Self>) -> Box<dyn StdError + Send + Sync + 'static> {
            self
        }

        fn kind(&self) -> ErrorKind {
            ErrorKind::Other
        }
    }

    fn said(code: &'static str) -> Error {
        Error::Database(Box::new(Said(code)))
    }

    #[test]
    fn what_passes_is_told_from_what_lasts_through_its_context() {
        let codes =
            ["08006", "40001", "40P01", "53300", "53100", "55P03", "57P01", "57P02", "57P03", "25006"];
        for code in codes {
            assert!(
                passes(&anyhow::Error::from(said(code)).context("can't commit").context("a batch")),
                "{code}"
            );
        }
        // No right, no table, no password, no database, a database that was dropped, a broken index.
        for code in ["42501", "42P01", "28P01", "3D000", "57P04", "XX002", "23505"] {
            assert!(!passes(&said(code).into()), "{code}");
        }
        assert!(passes(&Error::Io(io::ErrorKind::ConnectionReset.into()).into()));
        assert!(passes(&Error::Tls(Box::new(io::Error::from(io::ErrorKind::UnexpectedEof))).into()));
        assert!(!passes(&Error::Tls("self-signed certificate".into()).into()));
        assert!(!passes(&anyhow::anyhow!("something else")));
    }

    #[test]
    fn what_is_said_of_a_row_is_told_from_what_is_said_of_all() {
        assert!(
            ["22P05", "22003", "23514", "44000", "54000", "P0001"]
                .iter()
                .all(|code| refuses_a_row(&said(code)))
        );
        assert!(["42501", "42P01", "53100", "40P01"].iter().all(|code| !refuses_a_row(&said(code))));
    }
}
