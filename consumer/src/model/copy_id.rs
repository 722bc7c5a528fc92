//! Which copy of the tables a consumer works for, as Kafka sees it: in its client id and beside its offsets.

use std::fmt;

use anyhow::Context;
use sqlx::{FromRow, PgConnection};

/// What all notes of ours begin with. An operator's reset by Kafka's tools leaves no note, so the two can be told apart.
const NOTE: &str = "catalog-stream";

/// One copy of the tables: a schema of a database of a server. A restored backup is another copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Home {
    /// A hash of the tables' identity, the database's name and oid, and the schema.
    tables: String,
    /// A hash of the server's system identifier; none where the user may not read it.
    server: Option<String>,
    /// For people.
    pub(crate) schema: String,
}

#[derive(FromRow)]
struct Found {
    identity: String,
    database: String,
    database_oid: i64,
    schema: String,
    may_read_server: bool,
}

impl Home {
    /// Reads which tables a connection looks at.
    ///
    /// # Errors
    /// What the database says.
    pub(crate) async fn read(connection: &mut PgConnection) -> anyhow::Result<Self> {
        let found: Found = sqlx::query_as(include_str!("../../sql/binding/read_home.sql"))
            .fetch_one(&mut *connection)
            .await
            .context("can't read which tables these are")?;
        let server = if found.may_read_server { read_server(connection).await } else { None };
        let Found { identity, database, database_oid, schema, .. } = found;
        let oid = database_oid.to_string();
        let tables = hash(&[&identity, &database, &oid, &schema], 16);
        Ok(Self { tables, server: server.map(|server| hash(&[&server], 8)), schema })
    }

    /// The home that a note or a client id names; none for anybody else's, and for those of programs that had no home.
    pub(crate) fn parse(note: &str) -> Option<Self> {
        let mut parts = note.strip_prefix(NOTE)?.strip_prefix('/')?.splitn(3, '/');
        let (tables, server, schema) = (parts.next()?, parts.next()?, parts.next()?);
        let server = (server != UNKNOWN).then(|| server.to_owned());
        Some(Self { tables: tables.to_owned(), server, schema: schema.to_owned() })
    }

    /// Whether both are the same copy. Two users of one copy may differ in whether they can read the server's identifier.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let servers_agree = match (&self.server, &other.server) {
            (Some(one), Some(other)) => one == other,
            _ => true,
        };
        self.tables == other.tables && servers_agree
    }
}

const UNKNOWN: &str = "-";

impl fmt::Display for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tables, server, schema } = self;
        write!(f, "{NOTE}/{tables}/{}/{schema}", server.as_deref().unwrap_or(UNKNOWN))
    }
}

/// Whether a committed offset's note is ours, of whatever copy and version.
pub(crate) fn is_ours(note: &str) -> bool {
    note.starts_with(NOTE)
}

/// None where the server refuses all the same.
async fn read_server(connection: &mut PgConnection) -> Option<String> {
    let read =
        sqlx::query_scalar(include_str!("../../sql/binding/read_server.sql")).fetch_one(connection).await;
    read.inspect_err(|error| tracing::debug!(%error, "can't read the server's identifier")).ok()
}

fn hash(parts: &[&str], digits: usize) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(part.as_bytes()).update(&[0]);
    }
    hasher.finalize().to_hex().chars().take(digits).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn home(tables: &str, server: Option<&str>) -> Home {
        Home { tables: tables.into(), server: server.map(str::to_owned), schema: "catalog".into() }
    }

    #[test]
    fn a_home_is_read_as_it_was_written() {
        for home in [home("ab12", Some("cd")), home("ab12", None)] {
            assert_eq!(Home::parse(&home.to_string()), Some(home));
        }
        for other in ["", "catalog-stream", "rdkafka", "catalog-stream/half", "catalog-consumer/a/b/c"] {
            assert_eq!(Home::parse(other), None, "{other}");
        }
        assert!(is_ours("catalog-stream") && is_ours(&home("ab12", None).to_string()) && !is_ours(""));
    }

    #[test]
    fn a_server_that_one_user_can_not_name_is_no_other_home() {
        assert!(home("a", Some("s")).is_same(&home("a", None)));
        assert!(!home("a", Some("s")).is_same(&home("a", Some("t"))));
        assert!(!home("a", Some("s")).is_same(&home("b", Some("s"))));
    }
}
