//! The content hash, by which a new row is compared with the stored one.

use std::cmp::Ordering;

use crate::decode::literal::array_literal;
use crate::decode::visit::Pass;
use crate::decode::{digest, one_pass};

/// The revision of the canonical form, the first byte of each hash. Increase it whenever the same object is decoded to
/// a different row than before. The next version of each asset is then rewritten.
pub(crate) const REVISION: u8 = 5;

/// The length of a hash: one byte for the revision and 120 bits of the digest.
const BYTES: usize = 16;

/// How a stored row compares with a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compared {
    /// The stored row is the same.
    Same,
    /// The content is the same, but the stored row has the form of an older revision.
    OlderForm,
    /// The stored row has an older form and another hash, so the stored object itself must be compared.
    Unknown,
    /// The content differs.
    Different,
    /// The stored row has the form of this newer revision, which this build must not overwrite.
    Newer(u8),
}

/// The hash of a row's content: the revision of its form, then 120 bits of the digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ContentHash([u8; BYTES]);

impl ContentHash {
    pub(super) fn of(digest: u128) -> Self {
        let mut hash = digest.to_be_bytes();
        hash[0] = REVISION;
        Self(hash)
    }

    /// The hash of a canonical record and the additional names of its row (see [`additional`]).
    ///
    /// # Errors
    /// If the record is not JSON.
    pub(super) fn of_row(record: &str, additional: &[String]) -> serde_json::Result<Self> {
        let mut hashed = one_pass::digest(record, &mut Pass::of_canonical(false))
            .or_else(|_| one_pass::digest(record, &mut Pass::of_canonical(true)))?;
        if !additional.is_empty() {
            hashed = digest::combine(hashed, digest::text(&literal(additional)));
        }
        Ok(Self::of(hashed))
    }

    pub(crate) const fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The names in `unreadable` that can't be derived from the record, sorted: those of stats and of sanitized fields.
pub(super) fn additional(mut unreadable: Vec<String>, from_record: &[String]) -> Vec<String> {
    unreadable.retain(|name| !from_record.contains(name));
    unreadable.sort_unstable();
    unreadable.dedup();
    unreadable
}

/// Names as an array literal.
fn literal(names: &[String]) -> String {
    array_literal(names.iter().map(|name| Some(name.as_str())))
}

/// Compares a stored hash with a new one. Rows that were written before revisions existed have no hash.
pub(crate) fn compare(stored: Option<&[u8]>, new: ContentHash) -> Compared {
    let Some((revision, content)) = stored.and_then(<[u8]>::split_first) else { return Compared::Unknown };
    let same = &new.0[1..] == content;
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
        let new = ContentHash::of_row("{}", &[]).unwrap();
        assert_eq!(new.as_bytes()[0], REVISION);
        let content = &new.as_bytes()[1..];
        let of = |revision: u8, content: &[u8]| [&[revision], content].concat();
        assert_eq!(compare(Some(new.as_bytes()), new), Compared::Same);
        assert_eq!(compare(Some(&of(REVISION, b"x")), new), Compared::Different);
        assert_eq!(compare(Some(&of(REVISION - 1, content)), new), Compared::OlderForm);
        assert_eq!(compare(Some(&of(REVISION - 1, b"x")), new), Compared::Unknown);
        assert_eq!(compare(None, new), Compared::Unknown);
        assert_eq!(compare(Some(&of(REVISION + 1, content)), new), Compared::Newer(REVISION + 1));
    }
}
