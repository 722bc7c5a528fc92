use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

use sqlx::error::{DatabaseError, ErrorKind};

use super::*;

/// An error of PostgreSQL or of a pooler: its code and message.
#[derive(Debug)]
struct FakeError(&'static str, &'static str);

impl fmt::Display for FakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.1)
    }
}

impl StdError for FakeError {}

impl DatabaseError for FakeError {
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

fn coded(code: &'static str) -> Error {
    Error::Database(Box::new(FakeError(code, "")))
}

#[test]
fn transient_errors_are_recognised_through_their_context() {
    let codes = ["08006", "40001", "40P01", "53300", "53100", "55P03", "57P01", "57P02", "57P03", "25006"];
    for code in codes {
        assert!(
            is_transient(&anyhow::Error::from(coded(code)).context("can't commit").context("a batch")),
            "{code}"
        );
    }
    // Missing permission, table, password and database; a dropped database; a broken index; a constraint.
    for code in ["42501", "42P01", "28P01", "3D000", "57P04", "XX002", "23505"] {
        assert!(!is_transient(&coded(code).into()), "{code}");
    }
    assert!(is_transient(&Error::Io(io::ErrorKind::ConnectionReset.into()).into()));
    assert!(is_transient(&Error::Tls(Box::new(io::Error::from(io::ErrorKind::UnexpectedEof))).into()));
    assert!(!is_transient(&Error::Tls("self-signed certificate".into()).into()));
    assert!(!is_transient(&anyhow::anyhow!("something else")));
}

#[test]
fn errors_of_a_pooler_are_classified_by_their_message() {
    let pooler = |message| anyhow::Error::from(Error::Database(Box::new(FakeError("08P01", message))));
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
        assert!(is_transient(&pooler(words)), "{words}");
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
        assert!(!is_transient(&pooler(words)), "{words}");
    }
    assert!(has_too_many_connections(&pooler("no more connections allowed (max_client_conn)")));
    assert!(is_timed_out(&pooler("query timeout")) && !is_timed_out(&pooler("query_wait_timeout")));
}

#[test]
fn another_statement_may_succeed_where_copy_was_rejected_unless_the_error_is_transient() {
    for (code, message) in [
        ("22P04", "row field count is 27, expected 28"),
        ("08P01", "insufficient data left in message"),
        ("23505", "duplicate key"),
        ("0A000", "COPY FROM not supported with row-level security"),
        ("42501", "permission denied"),
    ] {
        assert!(rejects_copy(&Error::Database(Box::new(FakeError(code, message)))), "{code}");
    }
    for (code, message) in [("40P01", ""), ("57014", ""), ("53100", ""), ("08P01", "query timeout")] {
        assert!(!rejects_copy(&Error::Database(Box::new(FakeError(code, message)))), "{code}");
    }
    assert!(!rejects_copy(&Error::Io(io::ErrorKind::ConnectionReset.into())));
    assert!(!rejects_copy(&Error::Encode("too long".into())));
}

#[test]
fn errors_of_one_row_are_distinguished_from_others() {
    assert!(
        ["22P05", "22003", "23514", "44000", "54000", "P0001"].iter().all(|code| refuses_a_row(&coded(code)))
    );
    assert!(["42501", "42P01", "53100", "40P01"].iter().all(|code| !refuses_a_row(&coded(code))));
}
