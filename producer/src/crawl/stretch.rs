//! A stretch of the id space in which something is that nobody can name: the answer that holds it has no structure.
//! What is behind it is found by asking behind ids, because a bound of the scroll may be any id.

use crate::model::idspace;

/// A search for the smallest id with a readable answer behind it, by bisection: 40 questions at most.
#[derive(Debug)]
pub(crate) struct Search {
    /// Behind this one the answer can't be read.
    low: u64,
    /// Behind this one it can, or another interval begins.
    high: u64,
}

impl Search {
    /// A search behind one id and up to another. None where these are no numbers of the id space.
    pub(crate) fn new(from: &str, until: Option<&str>) -> Option<Self> {
        let last = idspace::SIZE - 1;
        let (low, high) = (idspace::number(from)?, until.map_or(Some(last), idspace::number)?);
        (low < high).then_some(Self { low, high })
    }

    /// The next id to ask behind; none once the search has ended.
    pub(crate) fn next(&self) -> Option<String> {
        (self.high - self.low > 1).then(|| idspace::id(self.middle()))
    }

    /// Takes in whether the answer behind that id can be read.
    pub(crate) const fn learn(&mut self, can_be_read: bool) {
        if can_be_read {
            self.high = self.middle();
        } else {
            self.low = self.middle();
        }
    }

    /// Where the stretch ends. An upper bound that was never asked for ends it too.
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
    fn forty_questions_find_the_end_anywhere() {
        for torn in ["2222-2223", "ijzp-q8t2", "zzzz-zzzy"] {
            let mut search = Search::new("", None).unwrap();
            let mut asked = 0;
            while let Some(id) = search.next() {
                search.learn(id.as_str() >= torn);
                asked += 1;
            }
            assert_eq!(search.end(), torn);
            assert!(asked <= 40, "{asked}");
        }
    }

    #[test]
    fn what_is_no_number_has_no_search() {
        assert!(Search::new("ABCD", None).is_none() && Search::new("2222-2222", Some("x")).is_none());
        assert_eq!(Search::new("2222-2222", Some("2222-2223")).unwrap().next(), None);
    }
}
