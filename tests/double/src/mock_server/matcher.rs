//! Selects the requests that a fault or a gate applies to.

use std::sync::atomic::{AtomicU64, Ordering};

use super::log::ReceivedRequest;

/// A selection of requests. All conditions must hold. They are evaluated in the order in which they were
/// given, and a condition that counts ([`Matcher::nth`]) counts only requests that passed the earlier ones.
#[derive(Default)]
pub struct Matcher {
    conditions: Vec<Condition>,
}

type Predicate = Box<dyn Fn(&ReceivedRequest) -> bool + Send + Sync>;

enum Condition {
    That(Predicate),
    Nth { n: u64, seen: AtomicU64 },
}

impl Matcher {
    /// Every request.
    #[must_use]
    pub fn any() -> Self {
        Self::default()
    }

    /// Requests for a page of the catalog.
    #[must_use]
    pub fn pages() -> Self {
        Self::any().that(ReceivedRequest::is_page)
    }

    /// Requests for the list of domains.
    #[must_use]
    pub fn domains() -> Self {
        Self::any().that(ReceivedRequest::is_domains)
    }

    /// ... with this `scroll_id`; `""` is the first page of a scroll.
    #[must_use]
    pub fn scroll_id(self, scroll_id: impl Into<String>) -> Self {
        let wanted = scroll_id.into();
        self.that(move |request| request.param("scroll_id") == Some(wanted.as_str()))
    }

    /// ... that ask for a page of more than `limit` results.
    #[must_use]
    pub fn limit_above(self, limit: u64) -> Self {
        self.that(move |request| request.is_page() && request.limit() > limit)
    }

    /// ... that are a first attempt. A later equal request does not match.
    #[must_use]
    pub fn first_attempt(self) -> Self {
        self.that(|request| request.attempt == 1)
    }

    /// ... for which the predicate holds.
    #[must_use]
    pub fn that(mut self, predicate: impl Fn(&ReceivedRequest) -> bool + Send + Sync + 'static) -> Self {
        self.conditions.push(Condition::That(Box::new(predicate)));
        self
    }

    /// ... and of those only the `n`th that arrives, counted from 1.
    #[must_use]
    pub fn nth(mut self, n: u64) -> Self {
        self.conditions.push(Condition::Nth { n, seen: AtomicU64::new(0) });
        self
    }

    /// ... and of those a share (0.0 to 1.0) drawn from `seed`. The draw depends on the request and how
    /// often it came before, and not on the order in which lanes arrive. Two crawls of
    /// the same pages meet the same faults.
    #[must_use]
    pub fn share(self, share: f64, seed: u64) -> Self {
        self.that(move |request| request.draw(seed) < share)
    }

    /// Whether the request matches. Conditions that count, count it.
    pub(super) fn matches(&self, request: &ReceivedRequest) -> bool {
        self.conditions.iter().all(|condition| match condition {
            Condition::That(predicate) => predicate(request),
            Condition::Nth { n, seen } => seen.fetch_add(1, Ordering::Relaxed) + 1 == *n,
        })
    }
}
