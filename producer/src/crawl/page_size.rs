//! The page size of a lane: smaller after an incomplete answer, larger again later.

/// The maximum number of complete answers in a row before a larger size is tried.
const MAX_REQUIRED: u32 = 64;

/// The smallest page with which a lane can continue: one id to continue after, and a larger one.
pub(crate) const MIN_SIZE: u16 = 2;

/// A lane's page size. It halves after an incomplete answer and doubles after complete ones. Each time the first answer
/// at a doubled size is incomplete, the next doubling requires twice as many complete answers. So a single failure costs
/// little, and so does a part of the catalog where large pages always fail.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PageSize {
    full: u16,
    now: u16,
    /// The number of complete answers in a row.
    complete: u32,
    /// How many of them are required to double the size.
    required: u32,
    /// Whether the size was doubled and has had no answer yet.
    on_trial: bool,
}

impl PageSize {
    /// Pages of `full` objects; the first ones have `first` objects or fewer.
    pub(crate) fn new(full: u16, first: u16) -> Self {
        Self { full, now: first.min(full).max(MIN_SIZE), complete: 0, required: 1, on_trial: false }
    }

    /// The size that was configured, which is the largest.
    pub(crate) const fn full(&self) -> u16 {
        self.full
    }

    /// The size of the next request.
    pub(crate) const fn now(&self) -> u16 {
        self.now
    }

    /// The answer to a request of this size was incomplete.
    pub(crate) fn failed(&mut self, size: u16) {
        if self.on_trial {
            self.required = (self.required * 2).min(MAX_REQUIRED);
        }
        *self = Self { now: (size / 2).clamp(MIN_SIZE, self.full), complete: 0, on_trial: false, ..*self };
    }

    /// The answer to a request of this size was complete.
    pub(crate) fn succeeded(&mut self, size: u16) {
        if self.on_trial {
            *self = Self { required: 1, on_trial: false, ..*self };
        }
        self.now = self.now.max(size.min(self.full));
        self.complete = self.complete.saturating_add(1);
        if self.now < self.full && self.complete >= self.required {
            *self =
                Self { now: self.now.saturating_mul(2).min(self.full), complete: 0, on_trial: true, ..*self };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sizes of this many requests to a server that can send pages of at most `max` objects.
    fn requested(size: &mut PageSize, max: u16, requests: usize) -> Vec<u16> {
        let request = |_| {
            let requested = size.now();
            if requested <= max {
                size.succeeded(requested)
            } else {
                size.failed(requested)
            }
            requested
        };
        (0..requests).map(request).collect()
    }

    #[test]
    fn it_halves_down_to_two_and_grows_back() {
        let mut size = PageSize::new(10, 10);
        assert_eq!(requested(&mut size, 0, 5), [10, 5, 2, 2, 2]);
        assert_eq!(requested(&mut size, 10, 6), [2, 4, 8, 10, 10, 10]);
    }

    #[test]
    fn one_failure_costs_one_smaller_page() {
        let mut size = PageSize::new(1_000, 1_000);
        size.failed(1_000);
        assert_eq!(requested(&mut size, 1_000, 3), [500, 1_000, 1_000]);
    }

    #[test]
    fn large_pages_that_always_fail_are_tried_more_and_more_rarely() {
        let mut size = PageSize::new(1_000, 1_000);
        let sizes = requested(&mut size, 600, 1_000);
        let failed = sizes.iter().filter(|size| **size == 1_000).count();
        assert!((2..25).contains(&failed), "{failed} of 1000");
        assert!(sizes.iter().all(|size| *size >= 500));
    }
}
