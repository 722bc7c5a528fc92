//! Named waits: why a partition may stand still although the consumer is healthy.
//!
//! The waits for an outage and for an upgrade have no limit, because a restart would not help. The wait for other batches has none
//! either, because their partitions are judged. The others end by themselves, or are bounded by other timeouts; their limits are far
//! above what was ever measured, because a restart would begin the same work again.

use std::time::{Duration, Instant};

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WaitCause {
    /// Kafka does not answer.
    Kafka,
    /// The database does not answer, or refuses work.
    Database,
    /// A change of the assignment, or the group belongs to another copy of the tables.
    Rebalance,
    /// A record of a newer schema: the consumer must be upgraded.
    NewerSchema,
    /// The schema lock, which a rebuild, a migration or a decision about a run holds.
    SchemaLock,
    /// A decision about a run: its transaction may retire many datasets.
    Decision,
    /// The batches of other partitions use all connections. Those are judged themselves.
    OtherBatches,
}

impl WaitCause {
    pub(super) const ALL: [Self; 7] = [
        Self::Kafka,
        Self::Database,
        Self::Rebalance,
        Self::NewerSchema,
        Self::SchemaLock,
        Self::Decision,
        Self::OtherBatches,
    ];

    /// The cause as text.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Kafka => "kafka",
            Self::Database => "database",
            Self::Rebalance => "rebalance",
            Self::NewerSchema => "newer_schema",
            Self::SchemaLock => "schema_lock",
            Self::Decision => "decision",
            Self::OtherBatches => "turn",
        }
    }

    /// What is waited for, in words.
    pub(super) const fn what(self) -> &'static str {
        match self {
            Self::Kafka => "Kafka does not answer",
            Self::Database => "the database does not answer, or refuses work",
            Self::Rebalance => "partitions are being assigned, or another copy of the tables uses the group",
            Self::NewerSchema => "a record that only a newer version of this program can read",
            Self::SchemaLock => "a rebuild, a migration or a decision about a run holds the schema lock",
            Self::Decision => "the decision about a run is being applied",
            Self::OtherBatches => "batches of other partitions come first",
        }
    }

    /// How long this wait may last before the partition counts as stalled. `None`: no limit.
    pub(super) const fn limit(self) -> Option<Duration> {
        match self {
            Self::Kafka | Self::Database | Self::NewerSchema | Self::OtherBatches => None,
            // The group removes a member that does not answer for this long (max.poll.interval.ms).
            Self::Rebalance => Some(Duration::from_mins(5)),
            Self::SchemaLock | Self::Decision => Some(Duration::from_mins(30)),
        }
    }
}

/// How long the loop may wait at a time. It asks Kafka with timeouts of 30 s or less, and the first question without an answer
/// ends the attempt. So a longer wait means that the polling thread hangs, or a statement.
const LOOP_LIMIT: Duration = Duration::from_mins(5);

/// A named wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wait {
    pub(super) cause: WaitCause,
    pub(super) since: Instant,
    /// How long this wait may last before the partition counts as stalled. `None`: no limit.
    pub(super) limit: Option<Duration>,
}

impl Wait {
    /// A wait with the limit of its cause.
    pub(super) const fn new(cause: WaitCause, since: Instant) -> Self {
        Self { cause, since, limit: cause.limit() }
    }

    /// The loop waits for an answer, without looking at its partitions.
    pub(super) const fn of_loop(cause: WaitCause, since: Instant) -> Self {
        Self { cause, since, limit: Some(LOOP_LIMIT) }
    }

    /// A change of the assignment is postponed. This has no limit, because it waits for Kafka, the database or another copy.
    /// The loop and the partitions that it keeps are judged meanwhile.
    pub(super) const fn postponed(since: Instant) -> Self {
        Self { cause: WaitCause::Rebalance, since, limit: None }
    }

    /// Whether it may last longer.
    pub(super) fn is_within_limit(self, now: Instant) -> bool {
        self.limit.is_none_or(|limit| now.saturating_duration_since(self.since) < limit)
    }
}
