//! The thresholds for dead letters, which stop the consumer, and for runs, which put a run on hold.

use std::time::Duration;

/// A domain with this many datasets may not lose more than half of them at once.
pub(crate) const LARGE_DOMAIN: i64 = 20;

/// The settings of every batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BatchSettings {
    pub(crate) dead: DeadLetterThresholds,
    pub(crate) runs: RunThresholds,
    /// Whether the commit of a batch without end-of-run records waits as the server's `synchronous_commit` says. Otherwise
    /// it does not wait for the disk.
    pub(crate) synchronous_commit: bool,
    pub(crate) limits: AnswerLimits,
}

/// How long a batch may wait for PostgreSQL in one stage before its connection counts as lost. A connection that a firewall has
/// dropped never reports an error.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AnswerLimits {
    /// For its rows, its counts and its commit.
    pub(crate) rows: Duration,
    /// For the schema lock, and for the decision about a run.
    pub(crate) lock: Duration,
}

impl AnswerLimits {
    /// Far longer than any batch takes, because a retry does not help a slow one. 2,000 records take about a second, and a
    /// consumer counts as stalled after 45 (`--stall-timeout`), or after half an hour of a lock or a decision.
    pub(crate) const DEFAULT: Self =
        Self { rows: Duration::from_secs(10 * 60), lock: Duration::from_secs(40 * 60) };

    /// The limits for a consumer that counts as stalled after this time without progress.
    pub(crate) fn with_stall_timeout(stall_timeout: Duration) -> Self {
        let rows = Self::DEFAULT.rows.max(stall_timeout * 4);
        Self { rows, lock: Self::DEFAULT.lock.max(rows) }
    }
}

/// How many dead letters a partition may have. Both numbers come from the database, so a restarted consumer stops at the
/// same record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DeadLetterThresholds {
    /// The maximum share of the last 1,000 records, 0 to 1. If there are fewer records, the rest counts as good, so a few
    /// bad records at the start of a topic do not stop the consumer.
    pub(crate) share: f64,
    /// The maximum number of consecutive records.
    pub(crate) in_row: u32,
}

/// The thresholds beyond which a run is put on hold and retires nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RunThresholds {
    /// The maximum share of its region's datasets that a full crawl may retire, 0 to 1.
    pub(crate) max_retire_share: f64,
    /// The minimum share of what `/domains` declares that a run must have seen, 0 to 1.
    pub(crate) min_seen_share: f64,
    /// How many full crawls confirm a loss; 0 disables this.
    pub(crate) confirm_after: u32,
    /// A domain with at least this many datasets may not lose more than half of them at once: [`LARGE_DOMAIN`], or fewer
    /// in tests with small catalogs.
    pub(crate) large_domain: i64,
}
