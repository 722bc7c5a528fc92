//! Which page sizes to request after an id until the answer lets a lane continue.
//!
//! Objects of two domains may have the same id, next to each other in the scroll, and the scroll continues after an id,
//! not after an object. So a lane continues after an id only if it has seen a larger id on the same page, because then
//! the page contains all objects with the smaller id. If a page has only one id, a larger page is requested. If that
//! has the same objects, nothing else follows.

use catalog_shared::cursor::Interval;

use crate::api::PageRequest;
use crate::crawl::page_outcome::PageOutcome;
use crate::crawl::page_size::PageSize;
use crate::model::page::Page;

/// The largest `limit` that the API accepts.
pub(crate) const MAX_LIMIT: u16 = 10_000;

/// The requests for the page after one id.
pub(crate) struct NextPage<'a> {
    interval: &'a Interval,
    full_size: u16,
    /// The size of the next request.
    size: u16,
    /// The largest size that returned too few ids.
    insufficient: u16,
    /// The page of that size.
    partial: Page,
    /// The smallest size above `insufficient` whose answer was incomplete.
    failed: Option<u16>,
}

impl<'a> NextPage<'a> {
    pub(crate) fn new(size: &PageSize, interval: &'a Interval) -> Self {
        let (full_size, size) = (size.full(), size.now());
        Self { interval, full_size, size, insufficient: 0, partial: Page::empty(), failed: None }
    }

    /// The next request.
    pub(crate) const fn request(&self) -> PageRequest {
        PageRequest { size: self.size, can_shrink: self.size > self.insufficient + 1, leniently: false }
    }

    /// Whether a page has too few ids to continue.
    fn is_insufficient(&self, page: &Page) -> bool {
        page.last_complete_id().is_none() && page.len_within(self.interval).is_none()
    }

    /// Whether the page shows that no further id follows: it had room for more, and a request for a full page returned
    /// no more either.
    pub(crate) fn is_the_end(&self, page: &Page) -> bool {
        self.insufficient >= self.full_size
            && page.objects.len() < usize::from(self.size)
            && self.is_insufficient(page)
    }

    /// Whether even the largest page has too few ids to continue.
    pub(crate) fn is_stuck(&self, page: &Page) -> bool {
        page.objects.len() >= usize::from(MAX_LIMIT) && self.is_insufficient(page)
    }

    /// The answer that a page gives; `None` if a larger page must be requested.
    pub(crate) fn received(&mut self, page: Page) -> Option<PageOutcome> {
        if !self.is_insufficient(&page) {
            return Some(PageOutcome::Page(page));
        }
        if self.is_the_end(&page) {
            return Some(PageOutcome::Last(page));
        }
        (self.insufficient, self.partial) = (self.size, page);
        self.failed = self.failed.filter(|size| *size > self.insufficient);
        self.size = match self.failed {
            Some(size) => self.insufficient + ((size - self.insufficient) / 2).max(1),
            None if self.insufficient < self.full_size => self.full_size,
            None => self.insufficient.saturating_mul(2).min(MAX_LIMIT),
        };
        None
    }

    /// Requests a smaller page after an incomplete answer.
    pub(crate) const fn failed(&mut self) {
        self.failed = Some(self.size);
        self.size = self.insufficient + (self.size - self.insufficient) / 2;
    }

    /// The page before the unreadable object: objects with one id at most.
    pub(crate) fn into_partial(self) -> Page {
        self.partial
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::page::tests::page;

    /// The requested sizes at the start of a catalog, and whether the answer is its end.
    fn sizes(full: u16, catalog: &[&str]) -> (Vec<u16>, bool) {
        let (size, interval) = (PageSize::new(full, full), Interval::whole());
        let (mut next, mut sizes) = (NextPage::new(&size, &interval), Vec::new());
        loop {
            let size = next.request().size;
            sizes.push(size);
            if let Some(answer) = next.received(page(&catalog[..catalog.len().min(size.into())])) {
                return (sizes, matches!(answer, PageOutcome::Last(_)));
            }
        }
    }

    #[test]
    fn a_larger_page_is_requested_if_there_is_only_one_id() {
        assert_eq!(sizes(2, &["a", "b"]), (vec![2], false));
        assert_eq!(sizes(2, &["a", "a", "b"]), (vec![2, 4], false));
        assert_eq!(sizes(2, &["a", "a", "a", "a", "b"]), (vec![2, 4, 8], false));
        // The same twice, with room for more.
        assert_eq!(sizes(2, &["a", "a"]), (vec![2, 4], true));
        assert_eq!(sizes(2, &["a", "a", "a", "a"]), (vec![2, 4, 8], true));
        assert_eq!(sizes(1_000, &["a"]), (vec![1_000, 2_000], true));
        assert_eq!(sizes(MAX_LIMIT, &[]), (vec![MAX_LIMIT, MAX_LIMIT], true));
    }

    #[test]
    fn an_id_beyond_the_interval_is_enough() {
        let (size, interval) =
            (PageSize::new(2, 2), Interval { after: String::new(), until: Some("b".into()) });
        assert!(NextPage::new(&size, &interval).received(page(&["c", "c"])).is_some());
        assert!(NextPage::new(&size, &interval).received(page(&["b", "b"])).is_none());
    }

    #[test]
    fn smaller_pages_isolate_the_first_unreadable_object() {
        let (size, interval) = (PageSize::new(8, 8), Interval::whole());
        let (mut next, mut sizes) = (NextPage::new(&size, &interval), Vec::new());
        // The first object is readable and the second one is not.
        while next.request().size > 1 {
            sizes.push(next.request().size);
            next.failed();
        }
        assert!(!next.request().can_shrink && next.received(page(&["a"])).is_none());
        assert_eq!((sizes, next.request().size), (vec![8, 4, 2], 2));
        assert!(!next.request().can_shrink);
        assert_eq!(next.into_partial().last_id(), Some("a"));
    }
}
