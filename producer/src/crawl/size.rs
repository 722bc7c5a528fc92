//! How many objects a lane asks for: fewer after an answer that could not be had whole, more again later.

/// How many good answers in a row a size may have to prove itself by, at most, before the next one is
/// tried.
const MOST_PATIENCE: u32 = 64;

/// The smallest page that takes a lane further: one id to go on behind, and a larger one.
pub(crate) const LEAST: u16 = 2;

/// A lane's page size. Halves when an answer can't be had whole and doubles after good ones. A doubled size
/// that fails at once has to wait twice as long for its next trial: an odd failure costs little that way,
/// and so does a part of the catalog where large pages always fail.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PageSize {
    full: u16,
    now: u16,
    /// Good answers in a row.
    good: u32,
    /// How many of them it takes to double.
    patience: u32,
    /// Whether the size was doubled and has had no answer yet.
    on_trial: bool,
}

impl PageSize {
    /// Pages of `full` objects, at first of `first` or fewer.
    pub(crate) fn new(full: u16, first: u16) -> Self {
        Self { full, now: first.min(full).max(LEAST), good: 0, patience: 1, on_trial: false }
    }

    /// The size that was asked for on the command line; the largest there is.
    pub(crate) const fn full(&self) -> u16 {
        self.full
    }

    /// The size to ask for next.
    pub(crate) const fn now(&self) -> u16 {
        self.now
    }

    /// A page of this size could not be had whole.
    pub(crate) fn failed(&mut self, asked: u16) {
        if self.on_trial {
            self.patience = (self.patience * 2).min(MOST_PATIENCE);
        }
        *self = Self { now: (asked / 2).clamp(LEAST, self.full), good: 0, on_trial: false, ..*self };
    }

    /// A page of this size was had.
    pub(crate) fn succeeded(&mut self, asked: u16) {
        if self.on_trial {
            *self = Self { patience: 1, on_trial: false, ..*self };
        }
        self.now = self.now.max(asked.min(self.full));
        self.good = self.good.saturating_add(1);
        if self.now < self.full && self.good >= self.patience {
            *self = Self { now: self.now.saturating_mul(2).min(self.full), good: 0, on_trial: true, ..*self };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sizes asked for in so many requests of a server that has pages of at most `most` objects.
    fn asked(size: &mut PageSize, most: u16, requests: usize) -> Vec<u16> {
        let ask = |_| {
            let asked = size.now();
            if asked <= most {
                size.succeeded(asked)
            } else {
                size.failed(asked)
            }
            asked
        };
        (0..requests).map(ask).collect()
    }

    #[test]
    fn it_halves_down_to_two_and_grows_back() {
        let mut size = PageSize::new(10, 10);
        assert_eq!(asked(&mut size, 0, 5), [10, 5, 2, 2, 2]);
        assert_eq!(asked(&mut size, 10, 6), [2, 4, 8, 10, 10, 10]);
    }

    #[test]
    fn one_failure_costs_one_smaller_page() {
        let mut size = PageSize::new(1_000, 1_000);
        size.failed(1_000);
        assert_eq!(asked(&mut size, 1_000, 3), [500, 1_000, 1_000]);
    }

    #[test]
    fn where_large_pages_always_fail_they_are_tried_ever_more_rarely() {
        let mut size = PageSize::new(1_000, 1_000);
        let asked = asked(&mut size, 600, 1_000);
        let vain = asked.iter().filter(|asked| **asked == 1_000).count();
        assert!((2..25).contains(&vain), "{vain} of 1000");
        assert!(asked.iter().all(|asked| *asked >= 500));
    }
}
