//! What PostgreSQL's errors mean for a batch, by SQLSTATE: whether they pass by themselves, or a row is at
//! fault, or neither. A pooler has one SQLSTATE for all that it says, so its words count.

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

/// What PgBouncer says with its one code, 08P01, and what passes of that: words of its own, and the words of a server
/// that did not let it in. All else that it says lasts: a wrong password, no such user or database, a parameter that
/// it does not take.
const PASSING_AT_A_POOLER: [&str; 14] = [
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
    "the database system is", // starting up, shutting down, in recovery: the server's words
];

/// Too many connections, in the words of a pooler or of the server behind it.
const TOO_MANY_AT_A_POOLER: [&str; 4] = [
    "no more connections allowed",
    "too many clients already",
    "too many connections for",
    "remaining connection slots",
];

/// What a pooler says of a server that does not let it in for good. It repeats that with words that would pass.
const LASTING_AT_A_POOLER: [&str; 4] =
    ["authentication failed", "does not exist", "no pg_hba.conf entry", "not permitted"];

/// A pooler's word for a statement that took too long.
const CUT_SHORT_AT_A_POOLER: [&str; 2] = ["query timeout", "query_timeout"];

/// Whether an error of the database passes by itself, so that the same is worth trying again.
pub(crate) fn is_transient(error: &anyhow::Error) -> bool {
    of_database(error).is_some_and(is_transient_error)
}

fn is_transient_error(error: &Error) -> bool {
    match error {
        Error::Io(_) | Error::PoolTimedOut | Error::WorkerCrashed => true,
        // A connection that was cut while it was being encrypted; a certificate that is refused lasts.
        Error::Tls(cause) => anyhow::Chain::new(&**cause).any(|cause| cause.is::<io::Error>()),
        other => match pooler_words(other) {
            Some(words) => {
                says(words, &TOO_MANY_AT_A_POOLER)
                    || (says(words, &PASSING_AT_A_POOLER) && !says(words, &LASTING_AT_A_POOLER))
            }
            None => has_code(other, &PASSING),
        },
    }
}

/// What was said with the code of a protocol violation, which PostgreSQL itself has no cause to use.
fn pooler_words(error: &Error) -> Option<&str> {
    let error =
        error.as_database_error().filter(|error| error.code().as_deref() == Some(PROTOCOL_VIOLATION))?;
    Some(error.message())
}

const PROTOCOL_VIOLATION: &str = "08P01";

fn says(words: &str, known: &[&str]) -> bool {
    known.iter().any(|known| words.contains(known))
}

/// Whether it is an answer of a pooler, and not of the server behind it.
pub(crate) fn is_refused_by_pooler(error: &Error) -> bool {
    pooler_words(error).is_some()
}

/// Whether a person or a timeout has cancelled a statement. Its transaction has failed for certain.
pub(crate) fn is_cancelled(error: &Error) -> bool {
    has_code(error, &["57014"])
}

/// As [`is_cancelled`], through its context.
pub(crate) fn was_cancelled(error: &anyhow::Error) -> bool {
    of_database(error).is_some_and(is_cancelled)
}

/// Whether a statement or its transaction took too long for somebody: with fewer rows it may pass.
pub(crate) fn is_cut_short(error: &anyhow::Error) -> bool {
    of_database(error).is_some_and(|error| {
        has_code(error, &["57014", "25P04"])
            || pooler_words(error).is_some_and(|words| says(words, &CUT_SHORT_AT_A_POOLER))
    })
}

/// Whether a connection is refused because there are too many.
pub(crate) fn has_too_many_connections(error: &anyhow::Error) -> bool {
    of_database(error).is_some_and(|error| {
        has_code(error, &["53300"])
            || pooler_words(error).is_some_and(|words| says(words, &TOO_MANY_AT_A_POOLER))
    })
}

fn of_database(error: &anyhow::Error) -> Option<&Error> {
    error.chain().find_map(|cause| cause.downcast_ref::<Error>())
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

    /// What PostgreSQL or a pooler says, as far as it matters here: code and words.
    #[derive(Debug)]
    struct Said(&'static str, &'static str);

    impl fmt::Display for Said {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.1)
        }
    }

    impl StdError for Said {}

    impl DatabaseError for Said {
        fn message(&self) -> &str {
            self.1
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
        Error::Database(Box::new(Said(code, "")))
    }

    #[test]
    fn what_passes_is_told_from_what_lasts_through_its_context() {
        let codes =
            ["08006", "40001", "40P01", "53300", "53100", "55P03", "57P01", "57P02", "57P03", "25006"];
        for code in codes {
            assert!(
                is_transient(&anyhow::Error::from(said(code)).context("can't commit").context("a batch")),
                "{code}"
            );
        }
        // No right, no table, no password, no database, a database that was dropped, a broken index.
        for code in ["42501", "42P01", "28P01", "3D000", "57P04", "XX002", "23505"] {
            assert!(!is_transient(&said(code).into()), "{code}");
        }
        assert!(is_transient(&Error::Io(io::ErrorKind::ConnectionReset.into()).into()));
        assert!(is_transient(&Error::Tls(Box::new(io::Error::from(io::ErrorKind::UnexpectedEof))).into()));
        assert!(!is_transient(&Error::Tls("self-signed certificate".into()).into()));
        assert!(!is_transient(&anyhow::anyhow!("something else")));
    }

    #[test]
    fn what_a_pooler_says_is_told_apart_by_its_words() {
        let said = |words| anyhow::Error::from(Error::Database(Box::new(Said("08P01", words))));
        for words in [
            "query_wait_timeout",
            "server conn crashed?",
            "client_login_timeout (server down)",
            "server login has been failing, try again later (server_login_retry)",
            "no more connections allowed (max_client_conn)",
            "too many connections for role \"me\"",
            "sorry, too many clients already",
            "the database system is starting up",
        ] {
            assert!(is_transient(&said(words)), "{words}");
        }
        for words in [
            "password authentication failed",
            "no such database: catalog",
            "no such user: me",
            "unsupported startup parameter: options",
            "database \"catalog\" does not exist",
            "server login has been failing, cached error: password authentication failed (server_login_retry)",
            "something that nobody knows",
        ] {
            assert!(!is_transient(&said(words)), "{words}");
        }
        assert!(has_too_many_connections(&said("no more connections allowed (max_client_conn)")));
        assert!(is_cut_short(&said("query timeout")) && !is_cut_short(&said("query_wait_timeout")));
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
