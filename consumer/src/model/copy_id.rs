//! The id of the copy of the tables that a consumer fills. Kafka has it in the client id and in the metadata of
//! committed offsets.

use std::fmt;

/// The prefix of all metadata that this program commits. A reset with Kafka's tools leaves the metadata empty, which
/// distinguishes the two.
const NOTE: &str = "catalog-stream";

/// One copy of the tables: a schema of a database of a server. A restored backup is another copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CopyId {
    /// A hash of the tables' identity, the database's name and oid, and the schema.
    tables: String,
    /// A hash of the server's system identifier. `None` if the user may not read it.
    server: Option<String>,
    /// The schema's name, for messages.
    pub(crate) schema: String,
}

impl CopyId {
    /// The id of a copy, from the tables' identity, the database's name and oid, the schema, and the server's system
    /// identifier if it can be read.
    pub(crate) fn new(identity: [&str; 3], schema: String, server: Option<&str>) -> Self {
        let [installation, database, oid] = identity;
        let tables = hash(&[installation, database, oid, &schema], 16);
        Self { tables, server: server.map(|server| hash(&[server], 8)), schema }
    }

    /// Parses offset metadata or a client id. None for those of other programs, and for those without a copy.
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

impl fmt::Display for CopyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tables, server, schema } = self;
        write!(f, "{NOTE}/{tables}/{}/{schema}", server.as_deref().unwrap_or(UNKNOWN))
    }
}

/// Whether this program wrote the metadata of a committed offset, in any version and for any copy.
pub(crate) fn is_ours(note: &str) -> bool {
    note.starts_with(NOTE)
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

    pub(crate) fn copy(tables: &str, server: Option<&str>) -> CopyId {
        CopyId { tables: tables.into(), server: server.map(str::to_owned), schema: "catalog".into() }
    }

    #[test]
    fn a_copy_id_is_parsed_as_it_was_written() {
        for copy_id in [copy("ab12", Some("cd")), copy("ab12", None)] {
            assert_eq!(CopyId::parse(&copy_id.to_string()), Some(copy_id));
        }
        for other in ["", "catalog-stream", "rdkafka", "catalog-stream/half", "catalog-consumer/a/b/c"] {
            assert_eq!(CopyId::parse(other), None, "{other}");
        }
        assert!(is_ours("catalog-stream") && is_ours(&copy("ab12", None).to_string()) && !is_ours(""));
    }

    #[test]
    fn an_unknown_server_does_not_make_another_copy() {
        assert!(copy("a", Some("s")).is_same(&copy("a", None)));
        assert!(!copy("a", Some("s")).is_same(&copy("a", Some("t"))));
        assert!(!copy("a", Some("s")).is_same(&copy("b", Some("s"))));
    }
}
