//! What a lane has in hand: an answer of the API, and what of it is its interval's.

use catalog_shared::cursor::Interval;

use crate::api::page::Page;
use crate::progress::watch;

/// A page of one interval, and how far it takes it.
#[derive(Debug)]
pub(crate) struct Fetched {
    /// The interval's lower bound before this page; it tells which interval is meant.
    pub(crate) from: String,
    /// How far the interval is covered once the page is published.
    pub(crate) covered: Covered,
    /// The page, without objects behind the interval.
    pub(crate) page: Page,
    /// The largest id that the answer showed, be it behind the interval.
    pub(crate) shown: Option<String>,
    /// What was stepped over.
    pub(crate) skipped: Option<Skipped>,
}

/// What a lane steps over, because no answer that holds it can be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Skipped {
    /// The objects with this id.
    Object(String),
    /// Whatever an interval of the id space holds.
    Stretch,
}

/// How far an interval is covered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Covered {
    /// Up to this id.
    UpTo(String),
    /// To its end.
    Whole,
}

impl Fetched {
    /// The id that the next page of the interval starts behind; none where it is covered.
    pub(crate) fn next(&self) -> Option<&str> {
        match &self.covered {
            Covered::UpTo(id) => Some(id),
            Covered::Whole => None,
        }
    }

    /// Notes for whoever looks on how far it takes the lane.
    pub(crate) fn note(&self, interval: &Interval) {
        watch::reached(interval, self.next().unwrap_or(&self.from), self.page.objects.len());
        if self.covered == Covered::Whole {
            watch::finished();
        }
    }
}

/// What the API has behind an id.
#[derive(Debug)]
pub(crate) enum Answer {
    /// A page with two ids, or with one that is behind the interval.
    Page(Page),
    /// Objects with one id, and no more of them: a larger one was seen on an answer that could not be had.
    Known(Page),
    /// All that is left: objects with one id, and some without.
    Last(Page),
    /// Objects with this id that can't be had, and what comes before them.
    Unavailable(String, Page),
    /// Something that can't be had and has no name, no further than up to this id, and what comes before it.
    Unnamed(String, Page),
}

/// What an answer is to a lane.
#[derive(Debug)]
pub(crate) enum Reached {
    /// The next page of its interval.
    Part(Fetched),
    /// The end: no id follows. Objects without an id may be left.
    End { last: Option<Fetched>, tail: Page },
}

impl Answer {
    /// The part of it that is of the interval.
    pub(crate) fn of(self, interval: &Interval, after: &str) -> Reached {
        match self {
            Self::Page(page) => part(page, interval, after),
            Self::Known(page) => match up_to_last(page, after) {
                (Some(part), _) => Reached::Part(part),
                (None, tail) => Reached::End { last: None, tail },
            },
            Self::Last(page) => end(page, after),
            Self::Unavailable(id, page) => {
                let is_behind = interval.ends_before(&id);
                let is_done = is_behind || interval.until.as_ref() == Some(&id);
                let covered = if is_done { Covered::Whole } else { Covered::UpTo(id.clone()) };
                let skipped = (!is_behind).then(|| Skipped::Object(id.clone()));
                Reached::Part(Fetched { from: after.to_owned(), covered, page, shown: Some(id), skipped })
            }
            Self::Unnamed(to, page) => {
                let is_done = interval.until.as_ref() == Some(&to);
                let covered = if is_done { Covered::Whole } else { Covered::UpTo(to) };
                let (from, skipped) = (after.to_owned(), Some(Skipped::Stretch));
                Reached::Part(Fetched { from, covered, page, shown: None, skipped })
            }
        }
    }
}

/// A page up to the interval's end, or up to the last id but one: of the last one there may be more.
fn part(mut page: Page, interval: &Interval, after: &str) -> Reached {
    let shown = page.last_id().map(str::to_owned);
    let sure = page.last_sure_id().map(str::to_owned);
    let (objects, covered) = match (page.before_end(interval), sure) {
        (Some(objects), _) => (objects, Covered::Whole),
        (None, Some(id)) => (page.up_to(&id), Covered::UpTo(id)),
        (None, None) => return end(page, after),
    };
    page.objects.truncate(objects);
    Reached::Part(Fetched { from: after.to_owned(), covered, page, shown, skipped: None })
}

/// A page that nothing follows.
fn end(page: Page, after: &str) -> Reached {
    let (last, tail) = up_to_last(page, after);
    Reached::End { last, tail }
}

/// A page up to its last id, where it has one, and the objects behind that.
fn up_to_last(mut page: Page, after: &str) -> (Option<Fetched>, Page) {
    let Some(id) = page.last_id().map(str::to_owned) else { return (None, page) };
    let tail = Page { objects: page.objects.split_off(page.up_to(&id)), observed_at: page.observed_at };
    let (covered, shown) = (Covered::UpTo(id.clone()), Some(id));
    (Some(Fetched { from: after.to_owned(), covered, page, shown, skipped: None }), tail)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::json;

    use super::*;

    fn page(ids: &[&str]) -> Page {
        let results: Vec<_> = ids.iter().map(|id| json!({ "resource": { "id": id } })).collect();
        Page::cut(&Bytes::from(json!({ "results": results }).to_string())).unwrap()
    }

    fn part(answer: Answer, interval: &Interval) -> Fetched {
        match answer.of(interval, "") {
            Reached::Part(part) => part,
            end @ Reached::End { .. } => panic!("{end:?}"),
        }
    }

    #[test]
    fn an_id_behind_the_interval_ends_it_and_is_told() {
        let until_c = Interval { after: String::new(), until: Some("c".into()) };
        let end = part(Answer::Page(page(&["a", "b", "d"])), &until_c);
        assert_eq!(
            (end.page.objects.len(), end.covered, end.shown),
            (2, Covered::Whole, Some("d".to_owned()))
        );
        // One that can't be had is of the next interval too.
        let end = part(Answer::Unavailable("d".into(), page(&[])), &until_c);
        assert_eq!((end.skipped, end.covered, end.shown), (None, Covered::Whole, Some("d".to_owned())));
    }

    #[test]
    fn the_last_id_of_a_page_is_kept_back_with_all_its_objects() {
        let until_c = Interval { after: String::new(), until: Some("c".into()) };
        for (ids, published, up_to) in [
            (&["a", "b"][..], 1, "a"),
            (&["a", "a", "b", "b"], 2, "a"),
            (&["a", "", "b"], 1, "a"),
            // The bound itself may have more objects on the next page.
            (&["a", "b", "c"], 2, "b"),
        ] {
            let part = part(Answer::Page(page(ids)), &until_c);
            let covered = Covered::UpTo(up_to.to_owned());
            assert_eq!((part.page.objects.len(), part.covered), (published, covered), "{ids:?}");
        }
    }

    #[test]
    fn objects_whose_ids_are_known_are_published_and_what_follows_is_left() {
        let known = part(Answer::Known(page(&["", "b", "b", "N/A"])), &Interval::whole());
        assert_eq!((known.page.objects.len(), known.covered), (3, Covered::UpTo("b".into())));
    }

    #[test]
    fn what_has_no_name_covers_a_stretch_and_shows_no_id() {
        let until_c = Interval { after: String::new(), until: Some("c".into()) };
        let to = |to: &str| part(Answer::Unnamed(to.into(), page(&["a"])), &until_c);
        assert_eq!((to("b").covered, to("b").shown), (Covered::UpTo("b".into()), None));
        assert_eq!((to("c").covered, to("c").skipped), (Covered::Whole, Some(Skipped::Stretch)));
    }

    #[test]
    fn where_no_id_is_left_what_has_none_is_kept_apart() {
        let end = |ids| match Answer::Last(page(ids)).of(&Interval::whole(), "b") {
            Reached::End { last, tail } => (last.map(|last| last.page.objects.len()), tail.objects.len()),
            part @ Reached::Part(_) => panic!("{part:?}"),
        };
        assert_eq!(end(&["", "N/A"]), (None, 2));
        assert_eq!(end(&["", "c", "c", "N/A"]), (Some(3), 1));
    }
}
