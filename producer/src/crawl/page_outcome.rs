//! The part of an answer that belongs to a lane's interval.

use catalog_shared::cursor::Interval;

use crate::model::page::Page;
use crate::run::lane_page::{Covered, LanePage, Skipped};

/// What the API returned after an id.
#[derive(Debug)]
pub(crate) enum PageOutcome {
    /// A page with at least two ids, or with an id beyond the interval.
    Page(Page),
    /// All objects with one id. A larger id was seen on an answer that could not be read.
    OneId(Page),
    /// Everything that is left: the objects with one id at most, and objects without an id.
    Last(Page),
    /// The objects with this id can't be read. The page comes before them.
    UnreadableId(String, Page),
    /// Something without a known id can't be read, at most up to this id. The page comes before it.
    UnreadableRange(String, Page),
}

/// The next step of a lane.
#[derive(Debug)]
pub(crate) struct LaneStep {
    /// The next page of the interval; `None` if nothing is left.
    pub(crate) page: Option<LanePage>,
    /// Whether no further id follows. The interval then stays pending at its last id.
    pub(crate) is_end: bool,
}

impl PageOutcome {
    /// The part of the answer after `after` that belongs to the interval.
    pub(crate) fn within(self, interval: &Interval, after: &str) -> LaneStep {
        match self {
            Self::Page(page) => within(page, interval, after),
            Self::OneId(mut page) => {
                let Some(id) = page.last_id().map(str::to_owned) else { return end(page, interval, after) };
                // Objects after the last id are on the next page, too.
                page.objects.truncate(page.len_through(&id));
                part(after, up_to(&id, interval), page, Some(id), None)
            }
            Self::Last(page) => end(page, interval, after),
            Self::UnreadableId(id, page) => {
                let is_beyond = interval.ends_before(&id);
                let covered = if is_beyond { Covered::Full } else { up_to(&id, interval) };
                let skipped = (!is_beyond).then(|| Skipped::Object(id.clone()));
                part(after, covered, page, Some(id), skipped)
            }
            Self::UnreadableRange(to, page) => {
                part(after, up_to(&to, interval), page, None, Some(Skipped::Range))
            }
        }
    }
}

/// What is covered up to an id: all of an interval that ends there. Otherwise its rest would begin where the next interval begins,
/// and the two could not be told apart.
fn up_to(id: &str, interval: &Interval) -> Covered {
    if interval.until.as_deref() == Some(id) { Covered::Full } else { Covered::UpTo(id.to_owned()) }
}

fn part(
    from: &str,
    covered: Covered,
    page: Page,
    largest_id: Option<String>,
    skipped: Option<Skipped>,
) -> LaneStep {
    let page = LanePage { from: from.to_owned(), covered, page, largest_id, skipped };
    LaneStep { page: Some(page), is_end: false }
}

/// A page up to the end of the interval, or up to the last id but one, because more objects with the last id may follow.
///
/// Objects without an id may belong to either side of the end, because they don't show the id by which the API sorts
/// them. This lane publishes all of them, and the next lane publishes those that it sees again: counted twice, but never
/// lost.
fn within(mut page: Page, interval: &Interval, after: &str) -> LaneStep {
    let largest_id = page.last_id().map(str::to_owned);
    let complete = page.last_complete_id().map(str::to_owned);
    let (len, covered) = match (page.len_within(interval), complete) {
        (Some(len), _) => (len, Covered::Full),
        (None, Some(id)) => (page.len_through(&id), Covered::UpTo(id)),
        (None, None) => return end(page, interval, after),
    };
    page.objects.truncate(len);
    part(after, covered, page, largest_id, None)
}

/// A page that no further id follows, with the objects without an id at its end.
fn end(page: Page, interval: &Interval, after: &str) -> LaneStep {
    let last = page.last_id().map(str::to_owned);
    if page.objects.is_empty() {
        return LaneStep { page: None, is_end: true };
    }
    let covered = up_to(last.as_deref().unwrap_or(after), interval);
    LaneStep { is_end: true, ..part(after, covered, page, last, None) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::page::tests::page;

    fn part(answer: PageOutcome, interval: &Interval) -> LanePage {
        let next = answer.within(interval, "");
        assert!(!next.is_end, "{next:?}");
        next.page.unwrap()
    }

    #[test]
    fn an_id_beyond_the_interval_ends_it_and_is_the_largest_id() {
        let until_c = Interval { after: String::new(), until: Some("c".into()) };
        let end = part(PageOutcome::Page(page(&["a", "b", "d"])), &until_c);
        assert_eq!(
            (end.page.objects.len(), end.covered, end.largest_id),
            (2, Covered::Full, Some("d".to_owned()))
        );
        // An unreadable one belongs to the next interval, too.
        let end = part(PageOutcome::UnreadableId("d".into(), page(&[])), &until_c);
        assert_eq!((end.skipped, end.covered, end.largest_id), (None, Covered::Full, Some("d".to_owned())));
    }

    #[test]
    fn objects_without_an_id_before_the_end_of_the_interval_are_kept() {
        let until_c = Interval { after: String::new(), until: Some("c".into()) };
        let end = part(PageOutcome::Page(page(&["", "b", "", "", "d", ""])), &until_c);
        assert_eq!((end.page.objects.len(), end.covered), (4, Covered::Full));
    }

    #[test]
    fn the_last_id_of_a_page_is_left_to_the_next_page_with_all_its_objects() {
        let until_c = Interval { after: String::new(), until: Some("c".into()) };
        for (ids, published, up_to) in [
            (&["a", "b"][..], 1, "a"),
            (&["a", "a", "b", "b"], 2, "a"),
            (&["a", "", "b"], 1, "a"),
            // Even the upper bound may have more objects on the next page.
            (&["a", "b", "c"], 2, "b"),
        ] {
            let part = part(PageOutcome::Page(page(ids)), &until_c);
            let covered = Covered::UpTo(up_to.to_owned());
            assert_eq!((part.page.objects.len(), part.covered), (published, covered), "{ids:?}");
        }
    }

    #[test]
    fn objects_with_one_id_are_published_and_what_follows_is_left() {
        let one_id = part(PageOutcome::OneId(page(&["", "b", "b", "N/A"])), &Interval::whole());
        assert_eq!((one_id.page.objects.len(), one_id.covered), (3, Covered::UpTo("b".into())));
    }

    #[test]
    fn objects_with_the_id_at_which_the_interval_ends_complete_it() {
        let until_b = Interval { after: String::new(), until: Some("b".into()) };
        let one_id = part(PageOutcome::OneId(page(&["b", "b"])), &until_b);
        assert_eq!((one_id.page.objects.len(), one_id.covered), (2, Covered::Full));
        let last = PageOutcome::Last(page(&["b"])).within(&until_b, "");
        assert!(last.is_end && last.page.is_some_and(|page| page.covered == Covered::Full));
    }

    #[test]
    fn an_unreadable_range_is_skipped_and_has_no_largest_id() {
        let until_c = Interval { after: String::new(), until: Some("c".into()) };
        let to = |to: &str| part(PageOutcome::UnreadableRange(to.into(), page(&["a"])), &until_c);
        assert_eq!((to("b").covered, to("b").largest_id), (Covered::UpTo("b".into()), None));
        assert_eq!((to("c").covered, to("c").skipped), (Covered::Full, Some(Skipped::Range)));
    }

    #[test]
    fn the_last_page_includes_the_objects_without_an_id_at_its_end() {
        let end = |ids| {
            let next = PageOutcome::Last(page(ids)).within(&Interval::whole(), "b");
            assert!(next.is_end);
            next.page.map(|page| (page.page.objects.len(), page.covered))
        };
        assert_eq!(end(&["", "N/A"]), Some((2, Covered::UpTo("b".into()))));
        assert_eq!(end(&["", "c", "c", "N/A"]), Some((4, Covered::UpTo("c".into()))));
        assert_eq!(end(&[]), None);
    }
}
