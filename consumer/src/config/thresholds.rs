//! The thresholds beyond which records stop the consumer, and runs are put on hold.

/// A domain with this many datasets may not lose more than half of them at once.
pub(crate) const LARGE_DOMAIN: i64 = 20;

/// The limits beyond which records stop the consumer, and runs are held.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Thresholds {
    pub(crate) dead: DeadLetterThresholds,
    pub(crate) runs: RunThresholds,
}

/// How many dead letters a partition may have. Both are told by the database, so a consumer that was started
/// again stops at the same record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DeadLetterThresholds {
    /// Which share of the last 1,000 records. Where there were fewer, the others count as good, so that a few
    /// bad ones at a topic's beginning are no reason to stop.
    pub(crate) share: f64,
    /// How many one after the other.
    pub(crate) in_row: u32,
}

/// The limits beyond which a run's absences are not believed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RunThresholds {
    /// Which share of its region's datasets a full crawl may retire.
    pub(crate) max_retire_share: f64,
    /// Which share of what `/domains` declares a run must have seen.
    pub(crate) min_seen_share: f64,
    /// How many full crawls confirm a loss; 0 for never.
    pub(crate) confirm_after: u32,
    /// From how many datasets on a domain may not lose more than half of them at once: [`LARGE_DOMAIN`], and less
    /// in tests of small worlds.
    pub(crate) large_domain: i64,
}
