//! The hash of a stored row of any revision.

use crate::decode::content_hash::{ContentHash, additional};
use crate::decode::tree::Node;
use crate::decode::{asset, dataset};

/// The hash that a stored row of any revision has in the current form. `None` if its record is not an object.
///
/// `jsonb` changes the spelling of some numbers, such as `1e2` to `100`. A row with such a number gets another hash.
pub(crate) fn stored_hash(record: &str, unreadable: Vec<String>) -> Option<ContentHash> {
    let record = asset::record(&Node::of_json(record)?)?;
    let (_, from_record) = dataset::read_typed(&record).ok()?;
    ContentHash::of_row(&record, &additional(unreadable, &from_record)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_row_of_an_older_form_has_the_hash_of_the_new_form() {
        let record = r#"{"classification":{"tags":["a","b"]},"resource":{"name":7,"x":1.0}}"#;
        let stored = r#"{"resource": {"x": 1.0, "name": 7}, "classification": {"tags": ["b", "a"]}}"#;
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let stored = |unreadable: &[&str]| stored_hash(stored, names(unreadable));
        let new = |additional: &[&str]| ContentHash::of_row(record, &names(additional)).ok();
        assert_eq!(stored(&["resource.name"]), new(&[]));
        assert_eq!(stored(&["b", "resource.name", "a", "b"]), new(&["a", "b"]));
        assert_ne!(stored(&["a"]), new(&[]));
        assert_eq!(stored_hash("[]", Vec::new()), None);
    }
}
