//! The content hash of a row: what was stored is compared by it.

use std::cmp::Ordering;

use catalog_shared::fields::Fields;

use crate::decode::asset;
use crate::decode::literal::array_literal;

/// The revision of the row's form, the first byte of each hash. Raise it whenever the same object becomes
/// another row than before, so that the next version of each asset is rewritten.
pub(crate) const REVISION: u8 = 4;

/// 120 bits behind the revision tell any number of versions of one object apart.
const BYTES: usize = 16;

/// How a stored row compares with a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compared {
    /// The stored row is the same.
    Same,
    /// The content is the same; the stored row has the form of an older revision.
    OlderForm,
    /// The stored row has an older form, so the hashes say nothing: the stored object must be looked at.
    Unknown,
    /// The content differs.
    Different,
    /// The stored row has the form of this newer revision, which this build must not overwrite.
    Newer(u8),
}

/// The hash of a canonical record and of what could not be read of it (an array literal). The record ends
/// where its braces close, so the two need no separator.
pub(crate) fn content_hash(record: &str, unreadable: &str) -> Vec<u8> {
    let mut hasher = blake3::Hasher::new();
    hasher.update(record.as_bytes()).update(unreadable.as_bytes());
    let mut hash = vec![REVISION];
    hash.extend_from_slice(&hasher.finalize().as_bytes()[..BYTES - 1]);
    hash
}

/// The hash that a stored row of any revision has in today's form; none where its record is no object.
///
/// `jsonb` changes the spelling of some numbers (`1e2` to `100`). A row with such a number has another hash.
pub(crate) fn stored_hash(record: &str, mut unreadable: Vec<String>) -> Option<Vec<u8>> {
    let top: Fields<'_> = serde_json::from_str(record).ok()?;
    Some(content_hash(&asset::record(&top), &sorted_literal(&mut unreadable)))
}

/// The names of what could not be read: a sorted set, as an array literal.
pub(crate) fn sorted_literal(unreadable: &mut Vec<String>) -> String {
    unreadable.sort_unstable();
    unreadable.dedup();
    array_literal(unreadable.iter().map(|name| Some(name.as_str())))
}

/// Compares a stored hash with a new one. Rows from before revisions have no stored hash.
pub(crate) fn compare(stored: Option<&[u8]>, new: &[u8]) -> Compared {
    let Some((revision, content)) = stored.and_then(<[u8]>::split_first) else { return Compared::Unknown };
    let same = new.get(1..) == Some(content);
    match (revision.cmp(&REVISION), same) {
        (Ordering::Equal, true) => Compared::Same,
        (Ordering::Equal, false) => Compared::Different,
        (Ordering::Less, true) => Compared::OlderForm,
        (Ordering::Less, false) => Compared::Unknown,
        (Ordering::Greater, _) => Compared::Newer(*revision),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_compared_by_its_revision_and_then_by_its_content() {
        let new = content_hash("{}", "{}");
        assert_eq!((new.len(), new[0]), (BYTES, REVISION));
        let of = |revision: u8, content: &[u8]| [&[revision], content].concat();
        assert_eq!(compare(Some(&new), &new), Compared::Same);
        assert_eq!(compare(Some(&of(REVISION, b"x")), &new), Compared::Different);
        assert_eq!(compare(Some(&of(REVISION - 1, &new[1..])), &new), Compared::OlderForm);
        assert_eq!(compare(Some(&of(REVISION - 1, b"x")), &new), Compared::Unknown);
        assert_eq!(compare(None, &new), Compared::Unknown);
        assert_eq!(compare(Some(&of(REVISION + 1, &new[1..])), &new), Compared::Newer(REVISION + 1));
    }

    #[test]
    fn a_stored_row_of_an_older_form_has_the_hash_of_the_new_form() {
        let record = r#"{"classification":{"tags":["a","b"]},"resource":{"x":1.0}}"#;
        let stored = r#"{"resource": {"x": 1.0}, "classification": {"tags": ["b", "a"]}}"#;
        let unreadable = vec!["b".to_owned(), "a".to_owned(), "b".to_owned()];
        assert_eq!(stored_hash(stored, unreadable), Some(content_hash(record, r#"{"a","b"}"#)));
        assert_eq!(stored_hash("[]", Vec::new()), None);
    }
}
