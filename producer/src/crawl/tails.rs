//! Objects without an id behind the last one that has one. Every lane whose interval lies behind that id meets
//! some of them, and only once all lanes are done is it known that no id follows. So they are kept until then
//! and published once, with the step after which nothing is pending any more.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use catalog_shared::cursor::Interval;

use crate::api::page::Page;

/// What lanes have met at their ends, by the id behind which it lies. Almost always nothing, and less than a
/// page each.
#[derive(Default)]
pub(crate) struct Tails(Mutex<BTreeMap<String, Page>>);

impl Tails {
    /// Keeps what lies behind an id, in place of what was found there before.
    pub(crate) fn keep(&self, after: String, tail: Page) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(after, tail);
    }

    /// The run's, where nothing but ends is pending: what lies behind the first of them. The others, further
    /// behind, have met a part of it.
    pub(crate) fn of_all(&self, pending: &[Interval]) -> Option<Page> {
        let first = pending.iter().map(|interval| &interval.after).min()?;
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(first)
    }
}
