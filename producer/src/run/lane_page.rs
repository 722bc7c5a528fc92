//! One page of one lane, and how much of the lane's interval it completes.

use crate::model::page::Page;

/// A page of one interval of ids.
#[derive(Debug)]
pub(crate) struct LanePage {
    /// The interval's lower bound before this page. With the upper bound it identifies the interval: a lane that has reached
    /// its upper bound has the lower bound of the next lane.
    pub(crate) from: String,
    /// The interval's upper bound; `None` for the last interval.
    pub(crate) until: Option<String>,
    /// How much of the interval is covered once the page is published.
    pub(crate) covered: Covered,
    /// The page, without objects beyond the interval.
    pub(crate) page: Page,
    /// The largest id in the answer, even if it is beyond the interval.
    pub(crate) largest_id: Option<String>,
    /// What the lane skipped after the page.
    pub(crate) skipped: Option<Skipped>,
}

/// Something that a lane skips because no readable answer contains it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Skipped {
    /// The objects with this id.
    Object(String),
    /// A range of ids with unknown content.
    Range,
}

/// How much of an interval is covered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Covered {
    /// Up to and including this id.
    UpTo(String),
    /// All of it.
    Full,
}

impl LanePage {
    /// The id after which the interval's next page starts; `None` if the interval is covered.
    pub(crate) fn next(&self) -> Option<&str> {
        match &self.covered {
            Covered::UpTo(id) => Some(id),
            Covered::Full => None,
        }
    }
}
