//! Objects without an id at the border of two lanes. The API orders them by an id that
//! they don't show, so a page can't say on which side of a border they lie: the page behind the border can.

use catalog_shared::cursor::Interval;

use crate::api::page::{Object, Page};

/// Where the objects without an id stand that come right before the first one behind an interval: those
/// that may belong to either side.
fn undecided(objects: &[Object], interval: &Interval) -> Option<std::ops::Range<usize>> {
    let is_behind = |object: &Object| object.id.as_deref().is_some_and(|id| interval.ends_before(id));
    let end = objects.iter().position(is_behind)?;
    let start = objects[..end].iter().rposition(|object| object.id.is_some()).map_or(0, |last| last + 1);
    (start < end).then_some(start..end)
}

/// Whether it takes a look behind the interval's end to tell which objects of a page are of it.
pub(crate) fn is_unclear(page: &Page, interval: &Interval) -> bool {
    undecided(&page.objects, interval).is_some()
}

/// Leaves to the next interval what is its own: as many as the page behind the border begins with.
pub(crate) fn settle(page: &mut Page, interval: &Interval, behind: &Page) {
    let Some(undecided) = undecided(&page.objects, interval) else { return };
    let of_next = leading(behind).min(undecided.len());
    page.objects.drain(undecided.end - of_next..undecided.end);
}

/// How many objects without an id a page begins with.
fn leading(page: &Page) -> usize {
    page.objects.iter().take_while(|object| object.id.is_none()).count()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::json;

    use super::*;

    fn page(ids: &[Option<&str>]) -> Page {
        let object = |id: &Option<&str>| json!({ "resource": { "id": id } });
        let results: Vec<_> = ids.iter().map(object).collect();
        Page::cut(&Bytes::from(json!({ "results": results }).to_string())).unwrap()
    }

    fn ids(page: &Page) -> Vec<Option<&str>> {
        page.objects.iter().map(|object| object.id.as_deref()).collect()
    }

    #[test]
    fn each_side_keeps_its_own() {
        let until_c = Interval { after: String::new(), until: Some("c".into()) };
        for (behind, of_this) in
            [(&[Some("d")][..], 2), (&[None, Some("d")], 1), (&[None, None, Some("d")], 0)]
        {
            let mut page = page(&[None, Some("b"), None, None, Some("d"), None]);
            assert!(is_unclear(&page, &until_c));
            settle(&mut page, &until_c, &self::page(behind));
            let mut left = vec![None, Some("b")];
            left.resize(2 + of_this, None);
            left.extend([Some("d"), None]);
            assert_eq!(ids(&page), left);
        }
    }

    #[test]
    fn a_border_between_objects_with_ids_is_clear() {
        let until_c = Interval { after: String::new(), until: Some("c".into()) };
        assert!(!is_unclear(&page(&[None, Some("b"), Some("d")]), &until_c));
        assert!(!is_unclear(&page(&[Some("b"), None]), &until_c));
        assert!(!is_unclear(&page(&[Some("b"), None, Some("d")]), &Interval::whole()));
    }
}
