//! Which copy of the tables a consumer works for, as Kafka sees it: in its client id and beside its offsets.

use std::fmt;

/// What all notes of ours begin with. An operator's reset by Kafka's tools leaves no note, so the two can be told apart.
const NOTE: &str = "catalog-stream";

/// One copy of the tables: a schema of a database of a server. A restored backup is another copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CopyId {
    /// A hash of the tables' identity, the database's name and oid, and the schema.
    tables: String,
    /// A hash of the server's system identifier; none where the user may not read it.
    server: Option<String>,
    /// For people.
    pub(crate) schema: String,
}

impl CopyId {
    /// The copy that these parts identify: the tables' identity, and the database's name and oid; the schema; and the
    /// server's system identifier, where it can be read.
    pub(crate) fn new(identity: [&str; 3], schema: String, server: Option<&str>) -> Self {
        let [installation, database, oid] = identity;
        let tables = hash(&[installation, database, oid, &schema], 16);
        Self { tables, server: server.map(|server| hash(&[server], 8)), schema }
    }

    /// The copy that a note or a client id names; none for anybody else's, and for those of programs that named no copy.
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

/// Whether a committed offset's note is ours, of whatever copy and version.
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
    fn a_copy_is_read_as_it_was_written() {
        for copy_id in [copy("ab12", Some("cd")), copy("ab12", None)] {
            assert_eq!(CopyId::parse(&copy_id.to_string()), Some(copy_id));
        }
        for other in ["", "catalog-stream", "rdkafka", "catalog-stream/half", "catalog-consumer/a/b/c"] {
            assert_eq!(CopyId::parse(other), None, "{other}");
        }
        assert!(is_ours("catalog-stream") && is_ours(&copy("ab12", None).to_string()) && !is_ours(""));
    }

    #[test]
    fn a_server_that_one_user_can_not_name_is_no_other_copy() {
        assert!(copy("a", Some("s")).is_same(&copy("a", None)));
        assert!(!copy("a", Some("s")).is_same(&copy("a", Some("t"))));
        assert!(!copy("a", Some("s")).is_same(&copy("b", Some("s"))));
    }
}
