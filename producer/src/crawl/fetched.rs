//! What a lane has in hand: an answer of the API, and what of it is its interval's.

use catalog_shared::cursor::Interval;

use crate::discover::page::Page;
use crate::report::watch;

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
    pub(crate) shown: String,
    /// How many objects were stepped over.
    pub(crate) skipped: u64,
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
pub(crate) enum Answer {
    Page(Page),
    /// An object with this id that can't be had, and before it some without an id.
    Unavailable(String, Page),
}

/// What an answer is to a lane.
pub(crate) enum Reached {
    /// The next page of its interval.
    Part(Fetched),
    /// The end: no id follows. What has none may be left.
    End(Page),
}

impl Answer {
    pub(crate) fn is_the_end(&self) -> bool {
        matches!(self, Self::Page(page) if page.last_id().is_none())
    }

    /// The part of it that is of the interval.
    pub(crate) fn of(self, interval: &Interval, after: &str) -> Reached {
        let (page, shown, skipped) = match self {
            Self::Page(mut page) => {
                let Some(last) = page.last_id().map(str::to_owned) else { return Reached::End(page) };
                page.objects.truncate(page.within(interval));
                (page, last, 0)
            }
            Self::Unavailable(id, nameless) => {
                let skipped = u64::from(!interval.ends_before(&id));
                (nameless, id, skipped)
            }
        };
        let done = interval.ends_before(&shown) || interval.until.as_ref() == Some(&shown);
        let covered = if done { Covered::Whole } else { Covered::UpTo(shown.clone()) };
        Reached::Part(Fetched { from: after.to_owned(), covered, page, shown, skipped })
    }
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

    #[test]
    fn an_id_behind_the_interval_ends_it_and_is_told() {
        let until_c = Interval { after: String::new(), until: Some("c".into()) };
        let Reached::Part(part) = Answer::Page(page(&["a", "b", "d"])).of(&until_c, "") else { panic!() };
        assert_eq!((part.page.objects.len(), part.covered, part.shown), (2, Covered::Whole, "d".to_owned()));
        // One that can't be had is of the next interval too.
        let unavailable = Answer::Unavailable("d".into(), page(&[]));
        let Reached::Part(part) = unavailable.of(&until_c, "b") else { panic!() };
        assert_eq!((part.skipped, part.covered, part.shown), (0, Covered::Whole, "d".to_owned()));
    }

    #[test]
    fn where_no_id_is_left_what_has_none_is_kept_apart() {
        let Reached::End(tail) = Answer::Page(page(&["", "N/A"])).of(&Interval::whole(), "b") else {
            panic!()
        };
        assert_eq!(tail.objects.len(), 2);
    }
}
