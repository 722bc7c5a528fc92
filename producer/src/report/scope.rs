//! Whether a run over domains saw what was asked for.

use std::collections::BTreeSet;

use catalog_shared::cursor::Cursor;

/// A note where objects of other domains came, or where some came and none of a domain that was asked for: a portal
/// may have another name by now.
pub(crate) fn note(cursor: &Cursor) -> Option<String> {
    let shape = &cursor.shape;
    let lower = |name: &String| name.to_ascii_lowercase();
    let asked: BTreeSet<String> = shape.domains.iter().map(lower).collect();
    let seen: BTreeSet<String> = cursor.seen.keys().chain(cursor.unkeyed_by.keys()).map(lower).collect();
    let others: Vec<&str> = seen.difference(&asked).map(String::as_str).collect();
    let without: Vec<&str> = asked.difference(&seen).map(String::as_str).collect();
    // Such a run may well show nothing of a domain.
    let is_partial = shape.since.is_some() || shape.limit.is_some() || shape.from.is_some();
    if asked.is_empty() || seen.is_empty() || (others.is_empty() && (is_partial || without.is_empty())) {
        return None;
    }
    let (without, others) = (without.join(", "), others.join(", "));
    Some(match (without.is_empty(), others.is_empty()) {
        (false, false) => {
            format!("no object of {without} came, which --domain asks for, but objects of {others} did")
        }
        (false, true) => {
            format!("no object of {without} came, which --domain asks for, but objects of the others did")
        }
        (true, _) => format!("objects of {others} came too, which --domain does not ask for"),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use catalog_shared::cursor::{Mode, Shape};
    use catalog_shared::record::Kind;
    use catalog_shared::region::Region;

    use super::*;
    use crate::run::lifecycle;

    fn noted(asked: &[&str], seen: &[&str], limit: Option<u64>) -> Option<String> {
        let shape = Shape {
            mode: Mode::Part,
            kinds: Kind::ALL.to_vec(),
            api_url: String::new(),
            since: None,
            limit,
            domains: asked.iter().map(|&name| name.to_owned()).collect(),
            from: None,
        };
        let seen = seen.iter().map(|&name| (name.to_owned(), 1)).collect();
        note(&Cursor { seen, ..lifecycle::new_cursor(Region::Us, shape, 1, &BTreeMap::new()) })
    }

    #[test]
    fn a_scope_that_shows_other_domains_is_noted_with_both() {
        let note = noted(&["old.example"], &["new.example"], None).unwrap();
        assert!(
            note.contains("no object of old.example") && note.contains("objects of new.example"),
            "{note}"
        );
        assert!(
            noted(&["a.example"], &["A.example", "b.example"], None)
                .unwrap()
                .starts_with("objects of b.example")
        );
        assert!(
            noted(&["a.example", "b.example"], &["b.example"], None).unwrap().contains("object of a.example")
        );
        assert_eq!(noted(&["a.example", "b.example"], &["b.example"], Some(5)), None);
        assert_eq!(noted(&["a.example"], &["A.example"], None), None);
        assert_eq!(noted(&["a.example"], &[], None), None);
        assert_eq!(noted(&[], &["b.example"], None), None);
    }
}
