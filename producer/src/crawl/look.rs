//! What to ask for behind an id until the answer takes a lane further.
//!
//! Objects on two domains may have the same id, next to each other in the scroll, and the scroll starts behind an
//! id and not behind an object. So a lane goes on behind an id only once it has seen a larger one on the same page:
//! then all objects with the smaller id were on it. An answer that shows one id only has to be asked for again with
//! more. Where that shows the same, nothing else follows.

use catalog_shared::cursor::Interval;

use crate::api::Ask;
use crate::api::page::Page;
use crate::crawl::fetched::Answer;
use crate::crawl::size::PageSize;

/// The largest `limit` that the API takes.
pub(crate) const MOST: u16 = 10_000;

/// The requests for what is behind one id.
pub(crate) struct Look<'a> {
    interval: &'a Interval,
    full: u16,
    /// How many objects to ask for next.
    ask: u16,
    /// How many objects were asked for without a second id to show for it.
    vain: u16,
    /// What came of it.
    held: Page,
    /// The smallest size above `vain` whose answer could not be had.
    failed: Option<u16>,
}

impl<'a> Look<'a> {
    pub(crate) fn new(size: &PageSize, interval: &'a Interval) -> Self {
        let (full, ask) = (size.full(), size.now());
        Self { interval, full, ask, vain: 0, held: Page::empty(), failed: None }
    }

    /// What to ask for next.
    pub(crate) const fn ask(&self) -> Ask {
        Ask { size: self.ask, can_shrink: self.ask > self.vain + 1, loosely: false }
    }

    /// Whether a page shows too little to go on behind it.
    fn is_vain(&self, page: &Page) -> bool {
        page.last_sure_id().is_none() && page.before_end(self.interval).is_none()
    }

    /// Whether a page that was asked for now shows that nothing else follows: there was room for more, and an
    /// answer to a request for a full page has shown no more either.
    pub(crate) fn is_the_end(&self, page: &Page) -> bool {
        self.vain >= self.full && page.objects.len() < usize::from(self.ask) && self.is_vain(page)
    }

    /// Whether the largest page there is shows too little to go on.
    pub(crate) fn is_hopeless(&self, page: &Page) -> bool {
        page.objects.len() >= usize::from(MOST) && self.is_vain(page)
    }

    /// What a page answers; none where more has to be asked for.
    pub(crate) fn had(&mut self, page: Page) -> Option<Answer> {
        if !self.is_vain(&page) {
            return Some(Answer::Page(page));
        }
        if self.is_the_end(&page) {
            return Some(Answer::Last(page));
        }
        (self.vain, self.held) = (self.ask, page);
        self.failed = self.failed.filter(|size| *size > self.vain);
        self.ask = match self.failed {
            Some(size) => self.vain + ((size - self.vain) / 2).max(1),
            None if self.vain < self.full => self.full,
            None => self.vain.saturating_mul(2).min(MOST),
        };
        None
    }

    /// Asks for less after an answer that could not be had.
    pub(crate) const fn failed(&mut self) {
        self.failed = Some(self.ask);
        self.ask = self.vain + (self.ask - self.vain) / 2;
    }

    /// What came before the object that can't be had: objects with one id at most.
    pub(crate) fn into_held(self) -> Page {
        self.held
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

    /// The sizes that are asked for behind the beginning of a catalog, and whether the answer is its end.
    fn sizes(full: u16, catalog: &[&str]) -> (Vec<u16>, bool) {
        let (size, interval) = (PageSize::new(full, full), Interval::whole());
        let (mut look, mut sizes) = (Look::new(&size, &interval), Vec::new());
        loop {
            let ask = look.ask().size;
            sizes.push(ask);
            if let Some(answer) = look.had(page(&catalog[..catalog.len().min(ask.into())])) {
                return (sizes, matches!(answer, Answer::Last(_)));
            }
        }
    }

    #[test]
    fn one_id_only_is_asked_for_again_with_more() {
        assert_eq!(sizes(2, &["a", "b"]), (vec![2], false));
        assert_eq!(sizes(2, &["a", "a", "b"]), (vec![2, 4], false));
        assert_eq!(sizes(2, &["a", "a", "a", "a", "b"]), (vec![2, 4, 8], false));
        // Twice the same where there was room for more.
        assert_eq!(sizes(2, &["a", "a"]), (vec![2, 4], true));
        assert_eq!(sizes(2, &["a", "a", "a", "a"]), (vec![2, 4, 8], true));
        assert_eq!(sizes(1_000, &["a"]), (vec![1_000, 2_000], true));
        assert_eq!(sizes(MOST, &[]), (vec![MOST, MOST], true));
    }

    #[test]
    fn an_id_behind_the_interval_is_enough() {
        let (size, interval) =
            (PageSize::new(2, 2), Interval { after: String::new(), until: Some("b".into()) });
        assert!(Look::new(&size, &interval).had(page(&["c", "c"])).is_some());
        assert!(Look::new(&size, &interval).had(page(&["b", "b"])).is_none());
    }

    #[test]
    fn it_comes_down_to_the_first_object_that_can_not_be_had() {
        let (size, interval) = (PageSize::new(8, 8), Interval::whole());
        let (mut look, mut asked) = (Look::new(&size, &interval), Vec::new());
        // One object can be had, and the second one can't.
        while look.ask().size > 1 {
            asked.push(look.ask().size);
            look.failed();
        }
        assert!(!look.ask().can_shrink && look.had(page(&["a"])).is_none());
        assert_eq!((asked, look.ask().size), (vec![8, 4, 2], 2));
        assert!(!look.ask().can_shrink);
        assert_eq!(look.into_held().last_id(), Some("a"));
    }
}
