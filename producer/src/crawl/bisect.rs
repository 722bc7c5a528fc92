//! Finds the end of an unreadable range of ids, whose content can't be identified because the answer has no structure.
//! The search requests the page after an id, which may be any id, whether it exists or not.

use crate::model::idspace;

/// A bisection for the smallest id with a readable answer after it: 40 requests at most.
#[derive(Debug)]
pub(crate) struct Bisection {
    /// The answer after this id is unreadable.
    low: u64,
    /// The answer after this id is readable, or the next interval starts here.
    high: u64,
}

impl Bisection {
    /// A search between two ids; `None` if they are not numbers of the id space.
    pub(crate) fn new(from: &str, until: Option<&str>) -> Option<Self> {
        let last = idspace::SIZE - 1;
        let (low, high) = (idspace::number(from)?, until.map_or(Some(last), idspace::number)?);
        (low < high).then_some(Self { low, high })
    }

    /// The next id to try; `None` once the search has ended.
    pub(crate) fn next(&self) -> Option<String> {
        (self.high - self.low > 1).then(|| idspace::id(self.middle()))
    }

    /// Records whether the answer after that id was readable.
    pub(crate) const fn record(&mut self, is_readable: bool) {
        if is_readable {
            self.high = self.middle();
        } else {
            self.low = self.middle();
        }
    }

    /// The end of the unreadable range. It may be the upper bound, which was never tried.
    pub(crate) fn end(&self) -> String {
        idspace::id(self.high)
    }

    const fn middle(&self) -> u64 {
        self.low + (self.high - self.low) / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forty_requests_find_the_end_anywhere() {
        for end in ["2222-2223", "ijzp-q8t2", "zzzz-zzzy"] {
            let mut search = Bisection::new("", None).unwrap();
            let mut requests = 0;
            while let Some(id) = search.next() {
                search.record(id.as_str() >= end);
                requests += 1;
            }
            assert_eq!(search.end(), end);
            assert!(requests <= 40, "{requests}");
        }
    }

    #[test]
    fn ids_that_are_not_numbers_have_no_search() {
        assert!(Bisection::new("ABCD", None).is_none() && Bisection::new("2222-2222", Some("x")).is_none());
        assert_eq!(Bisection::new("2222-2222", Some("2222-2223")).unwrap().next(), None);
    }
}
