//! Checks whether a run over some domains saw exactly these.

use std::collections::BTreeSet;

use catalog_shared::cursor::Cursor;

/// A note if a run saw objects of other domains than --domain, or none of one of them: a domain may have been renamed.
pub(crate) fn domain_mismatch(cursor: &Cursor) -> Option<String> {
    let parameters = &cursor.parameters;
    let lower = |name: &String| name.to_ascii_lowercase();
    let requested: BTreeSet<String> = parameters.domains.iter().map(lower).collect();
    let seen: BTreeSet<String> =
        cursor.seen.keys().chain(cursor.missed.unkeyed_by.keys()).map(lower).collect();
    let others: Vec<&str> = seen.difference(&requested).map(String::as_str).collect();
    let without: Vec<&str> = requested.difference(&seen).map(String::as_str).collect();
    // Such a run may see nothing of a domain.
    let is_partial = parameters.since.is_some() || parameters.limit.is_some() || parameters.from.is_some();
    if requested.is_empty() || seen.is_empty() || (others.is_empty() && (is_partial || without.is_empty())) {
        return None;
    }
    let (without, others) = (without.join(", "), others.join(", "));
    Some(match (without.is_empty(), others.is_empty()) {
        (false, false) => {
            format!(
                "no objects of {without} were found, which --domain includes, but objects of {others} were"
            )
        }
        (false, true) => {
            format!(
                "no objects of {without} were found, which --domain includes, but objects of the others were"
            )
        }
        (true, _) => format!("objects of {others} were found, which --domain does not include"),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use catalog_shared::cursor::{Mode, RunParameters};
    use catalog_shared::region::Region;

    use super::*;
    use crate::run::lifecycle;

    fn noted(requested: &[&str], seen: &[&str], limit: Option<u64>) -> Option<String> {
        let parameters = RunParameters {
            mode: Mode::Part,
            limit,
            domains: requested.iter().map(|&name| name.to_owned()).collect(),
            ..RunParameters::full()
        };
        let seen = seen.iter().map(|&name| (name.to_owned(), 1)).collect();
        domain_mismatch(&Cursor {
            seen,
            ..lifecycle::new_cursor(Region::Us, parameters, 1, &BTreeMap::new())
        })
    }

    #[test]
    fn other_domains_are_noted_together_with_missing_ones() {
        let note = noted(&["old.example"], &["new.example"], None).unwrap();
        assert!(
            note.contains("no objects of old.example") && note.contains("objects of new.example"),
            "{note}"
        );
        assert!(
            noted(&["a.example"], &["A.example", "b.example"], None)
                .unwrap()
                .starts_with("objects of b.example")
        );
        assert!(
            noted(&["a.example", "b.example"], &["b.example"], None)
                .unwrap()
                .contains("objects of a.example")
        );
        assert_eq!(noted(&["a.example", "b.example"], &["b.example"], Some(5)), None);
        assert_eq!(noted(&["a.example"], &["A.example"], None), None);
        assert_eq!(noted(&["a.example"], &[], None), None);
        assert_eq!(noted(&[], &["b.example"], None), None);
    }
}
