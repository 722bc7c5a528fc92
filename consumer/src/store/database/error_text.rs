//! Formats errors of the database: each cause once, with the database's address.

use std::sync::{OnceLock, PoisonError, RwLock};

use anyhow::anyhow;
use catalog_shared::exit::Stop;
use sqlx::migrate::MigrateError;

use super::next_step;

/// The database of this process. Errors of sqlx don't contain its address.
static ADDRESS: OnceLock<RwLock<String>> = OnceLock::new();

pub(super) fn set_address(address: String) {
    *ADDRESS.get_or_init(RwLock::default).write().unwrap_or_else(PoisonError::into_inner) = address;
}

fn address() -> String {
    let address = ADDRESS.get().map(|address| address.read().unwrap_or_else(PoisonError::into_inner).clone());
    address.unwrap_or_else(|| "database unknown".to_owned())
}

/// Replaces a database error by its formatted text, with the next step if there is one. Other errors are returned unchanged, and
/// so are those with an exit code of their own.
pub(crate) fn with_formatted_text(error: anyhow::Error) -> anyhow::Error {
    if error.is::<Stop>() || !error.chain().any(|cause| cause.is::<sqlx::Error>()) {
        return error;
    }
    let next = error.chain().find_map(|cause| cause.downcast_ref()).and_then(next_step);
    let next = next.map(|next| format!("; {next}")).unwrap_or_default();
    anyhow!("{}{next}", format_error(&error))
}

/// Formats an error with its causes.
pub(crate) fn format_error(error: &anyhow::Error) -> String {
    let mut parts = Vec::new();
    for cause in error.chain() {
        if let Some(error) = cause.downcast_ref::<sqlx::Error>() {
            // The causes below repeat the message.
            parts.push(with_address(error));
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

fn with_address(error: &sqlx::Error) -> String {
    let address = address();
    match code(error) {
        Some(code) => format!("{} (SQLSTATE {code}; {address})", message(error)),
        None => format!("{} ({address})", message(error)),
    }
}

/// The message of an error, in the database's own words if it sent one.
pub(crate) fn message(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(error) => error.message().to_owned(),
        sqlx::Error::Io(error) => error.to_string(),
        sqlx::Error::Tls(error) => tls_message(&error.to_string()),
        sqlx::Error::Configuration(error) => error.to_string(),
        sqlx::Error::Protocol(error) => format!("unexpected response: {error}"),
        sqlx::Error::PoolTimedOut => "timed out waiting for a free connection".to_owned(),
        other => other.to_string(),
    }
}

/// OpenSSL's reason for refusing a certificate, without the lines of its source code.
fn tls_message(text: &str) -> String {
    let reason = text.rsplit_once('(').and_then(|(_, reason)| reason.strip_suffix(')'));
    match reason.filter(|_| text.contains("certificate verify failed")) {
        Some(reason) => format!("TLS: the server's certificate is not valid: {reason}"),
        None => format!("TLS: {text}"),
    }
}

/// The SQLSTATE of an error that the database sent.
pub(crate) fn code(error: &sqlx::Error) -> Option<String> {
    let code = error.as_database_error().and_then(|error| error.code());
    code.map(|code| code.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_for_an_invalid_certificate_is_named() {
        let text = "error:0A000086:SSL routines:tls_post:certificate verify failed:../ssl/a.c:1889: (certificate has expired)";
        assert_eq!(tls_message(text), "TLS: the server's certificate is not valid: certificate has expired");
        assert_eq!(tls_message("server does not support TLS"), "TLS: server does not support TLS");
    }
}
