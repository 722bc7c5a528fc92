//! A page of the API's answer: objects that keep their bytes.

use bytes::Bytes;
use catalog_shared::cursor::Interval;
use time::OffsetDateTime;

/// One page of results.
#[derive(Debug)]
pub(crate) struct Page {
    /// The objects in the API's order.
    pub(crate) objects: Vec<Object>,
    /// When the answer arrived.
    pub(crate) observed_at: OffsetDateTime,
}

/// A result object: its bytes as the API sent them (a slice of the answer), and the few fields that the producer
/// reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Object {
    pub(crate) raw: Bytes,
    /// The id, if a record key can contain it.
    pub(crate) id: Option<String>,
    pub(crate) domain: Option<String>,
    /// The attribution without surrounding white space; `None` if blank.
    pub(crate) agency: Option<String>,
    /// The permalink's host in lower case.
    pub(crate) host: Option<String>,
    /// When it was last updated, if that can be parsed.
    pub(crate) updated_at: Option<OffsetDateTime>,
    /// The id in the permalink of an object without an id. It identifies the object, but no record is keyed by it.
    pub(crate) link_id: Option<String>,
    /// Why the object is not valid JSON, if it is not.
    pub(crate) flaw: Option<String>,
}

impl Page {
    /// A page without objects.
    pub(crate) fn empty() -> Self {
        Self { objects: Vec::new(), observed_at: OffsetDateTime::now_utc() }
    }

    /// The size of all objects.
    pub(crate) fn bytes(&self) -> usize {
        self.objects.iter().map(|object| object.raw.len()).sum()
    }

    /// The number of objects before the first one whose id is beyond the interval; `None` if the page ends earlier.
    /// Objects without an id that come right before that one are included.
    pub(crate) fn len_within(&self, interval: &Interval) -> Option<usize> {
        self.objects.iter().position(|object| object.id.as_deref().is_some_and(|id| interval.ends_before(id)))
    }

    /// The number of objects up to and including the last one with this id.
    pub(crate) fn len_through(&self, id: &str) -> usize {
        self.objects.iter().rposition(|object| object.id.as_deref() == Some(id)).map_or(0, |last| last + 1)
    }

    /// The last id of the page.
    pub(crate) fn last_id(&self) -> Option<&str> {
        self.ids().next_back()
    }

    /// The last id before [`Page::last_id`]. All objects with this id are on the page, even if several share it.
    pub(crate) fn last_complete_id(&self) -> Option<&str> {
        let last = self.last_id();
        self.ids().rev().find(|id| Some(*id) != last)
    }

    /// The ids of the objects that have one.
    pub(crate) fn ids(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.objects.iter().filter_map(|object| object.id.as_deref())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use catalog_shared::key::is_name;

    use super::*;

    /// A page of objects of one domain with these ids. What no key can contain is no id.
    pub(crate) fn page(ids: &[&str]) -> Page {
        let object = |id: &&str| Object {
            raw: Bytes::from_static(b"{}"),
            id: Some((*id).to_owned()).filter(|id| is_name(id)),
            domain: Some("a.example".to_owned()),
            agency: None,
            host: None,
            updated_at: None,
            link_id: None,
            flaw: None,
        };
        Page { objects: ids.iter().map(object).collect(), ..Page::empty() }
    }

    #[test]
    fn objects_without_an_id_are_counted_with_the_next_one_that_has_one() {
        let interval = |until: &str| Interval { after: String::new(), until: Some(until.into()) };
        let page = page(&["", "b", " ", "d", "N/A"]);
        assert_eq!((page.last_id(), page.last_complete_id()), (Some("d"), Some("b")));
        assert_eq!((page.len_through("d"), page.len_through("b"), page.len_through("c")), (4, 2, 0));
        assert_eq!(page.len_within(&Interval::whole()), None);
        assert_eq!(page.len_within(&interval("d")), None);
        assert_eq!(page.len_within(&interval("b")), Some(3));
        assert_eq!(page.len_within(&interval("a")), Some(1));
    }
}
