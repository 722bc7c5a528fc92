//! Parses and validates `DATABASE_URL`, and formats it without its password.

use std::str::FromStr;
use std::time::Duration;

use catalog_shared::exit::Stop;
use log::LevelFilter;
use secrecy::ExposeSecret;
use sqlx::ConnectOptions;
use sqlx::postgres::PgConnectOptions;
use tracing::subscriber::{NoSubscriber, with_default};

use crate::config::DatabaseArgs;

/// Statements that take longer are logged, at debug level.
const SLOW_STATEMENT: Duration = Duration::from_secs(1);

const EXAMPLE: &str = "such as postgres://user:password@127.0.0.1:5432/catalog";
const SCHEMES: [&str; 2] = ["postgres", "postgresql"];
const SSL_MODES: [&str; 6] = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];

/// The options of all connections. They contain no session settings, because a pooler drops or rejects those.
///
/// # Errors
/// [`Stop::Usage`] if the URL is missing or not supported. The message never quotes the
/// URL, because any part of it may belong to the password.
pub(super) fn options(args: &DatabaseArgs) -> Result<PgConnectOptions, Stop> {
    let url = args.database_url.as_ref().map_or("", |url| url.expose_secret().trim());
    if url.is_empty() {
        return Err(Stop::Usage(format!("--database-url (DATABASE_URL) is missing, {EXAMPLE}")));
    }
    check(url).map_err(|what| Stop::Usage(format!("--database-url (DATABASE_URL) {what}")))?;
    // The parser's message may quote the URL with the password, and the parser logs unknown parameters with their
    // values. So both are discarded.
    let options = with_default(NoSubscriber::new(), || PgConnectOptions::from_str(url))
        .map_err(|_| Stop::Usage(format!("--database-url (DATABASE_URL) is not a URL {EXAMPLE}")))?;
    // Comparing whole tables normally takes seconds, so a slow statement is not a warning.
    let options = options.log_slow_statements(LevelFilter::Debug, SLOW_STATEMENT);
    // PgBouncer rejects this start-up parameter. A statement sets it, like the others.
    Ok(options.extra_float_digits(None).application_name("catalog-consumer"))
}

/// The database's name and address, and the user.
pub(super) fn address(options: &PgConnectOptions) -> String {
    let user = options.get_username();
    let database = options.get_database().unwrap_or(user);
    match options.get_socket() {
        Some(socket) => format!("database {database} at {}, user {user}", socket.display()),
        None => {
            format!("database {database} at {}:{}, user {user}", options.get_host(), options.get_port())
        }
    }
}

/// Rejects what sqlx would misinterpret, or refuse without naming it.
fn check(url: &str) -> Result<(), String> {
    let Some((scheme, rest)) = url.split_once("://") else { return Err(format!("is not a URL {EXAMPLE}")) };
    if !SCHEMES.iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
        return Err(format!(
            "has a scheme that is neither postgres nor postgresql; it should be a URL {EXAMPLE}"
        ));
    }
    let rest = rest.split('#').next().unwrap_or_default();
    let (address, query) = rest.split_once('?').unwrap_or((rest, ""));
    let authority = address.split('/').next().unwrap_or_default();
    let hosts = authority.rsplit('@').next().unwrap_or_default();
    let parameters: Vec<(&str, &str)> = query.split('&').filter_map(|pair| pair.split_once('=')).collect();
    let host_parameters = parameters.iter().filter(|(name, _)| ["host", "hostaddr"].contains(name));
    if host_parameters.map(|(_, value)| *value).chain([hosts]).any(names_several) {
        return Err(
            "names several hosts, and only one is supported: name the primary server, or an address that \
                    follows it"
                .to_owned(),
        );
    }
    let mut modes = parameters.iter().filter(|(name, _)| ["sslmode", "ssl-mode"].contains(name));
    if modes.any(|(_, mode)| !SSL_MODES.iter().any(|known| mode.eq_ignore_ascii_case(known))) {
        return Err(format!("has an unknown sslmode; known are {}", SSL_MODES.join(", ")));
    }
    Ok(())
}

fn names_several(hosts: &str) -> bool {
    hosts.contains(',') || hosts.to_ascii_lowercase().contains("%2c")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(url: &str) -> String {
        let args = DatabaseArgs { database_url: Some(url.into()), schema: "catalog".to_owned() };
        match options(&args) {
            Err(Stop::Usage(message)) => message,
            other => format!("{:?}", other.map(|options| address(&options))),
        }
    }

    #[test]
    fn unsupported_urls_are_refused_without_quoting_the_password() {
        for (url, named) in [
            ("", "is missing"),
            ("me:Ssst@db/catalog", "is not a URL"),
            ("mysql://me:Ssst@db/catalog", "neither postgres nor postgresql"),
            ("https://me:Ssst@db/catalog", "neither postgres nor postgresql"),
            ("postgres://me:Ssst@db1,db2/catalog", "several hosts"),
            ("postgres://me:Ssst@db1:5432,db2:5432/catalog", "several hosts"),
            ("postgres://me:Ssst@/catalog?host=db1,db2", "several hosts"),
            ("postgres://me:Ssst@/catalog?host=db1%2Cdb2", "several hosts"),
            ("postgres://me:Ssst@db/catalog?sslmode=verify_full", "unknown sslmode"),
            ("postgres://me:Ssst@db/catalog?a=b&sslmode=", "unknown sslmode"),
            ("postgres://me:Ssst@db:port/catalog", "is not a URL"),
        ] {
            let message = refused(url);
            assert!(message.contains("DATABASE_URL") && message.contains(named), "{url}: {message}");
            assert!(!message.contains("Ssst"), "{message}");
        }
    }

    #[test]
    fn an_address_contains_everything_except_the_password() {
        for (url, address) in [
            (
                "postgres://me:Ssst@db.example:6432/catalog?sslmode=REQUIRE",
                "database catalog at db.example:6432, user me",
            ),
            ("PostgreSQL://me:a,b@db.example/catalog", "database catalog at db.example:5432, user me"),
            (
                "postgres://me:Ssst@%2Frun%2Fpostgresql/catalog",
                "database catalog at /run/postgresql, user me",
            ),
            ("postgres://me@db/?dbname=other", "database other at db:5432, user me"),
        ] {
            assert_eq!(refused(url), format!("Ok({address:?})"));
        }
    }
}
