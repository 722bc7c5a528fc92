//! The counters of a consumer. They exist from the start, so that the first event counts as an increase.

use catalog_shared::log_writer::lost_lines;
use catalog_shared::monitoring::names;
use catalog_shared::record::RecordType;
use metrics::counter;

use crate::store::db_error::RetryCause;

const REBALANCES: [&str; 3] = ["assigned", "revoked", "lost"];
const BATCHES: [&str; 3] = ["applied", "stale", "abandoned"];
const EFFECTS: [&str; 5] = ["new", "changed", "unchanged", "older", "dead"];

/// Creates all counters with 0.
pub(super) fn create() {
    for kind in RecordType::ALL {
        for outcome in EFFECTS {
            counter!(names::CONSUMER_RECORDS, "kind" => kind.name(), "outcome" => outcome).increment(0);
        }
    }
    for outcome in BATCHES {
        counter!(names::CONSUMER_BATCHES, "outcome" => outcome).increment(0);
    }
    for outcome in REBALANCES {
        counter!(names::CONSUMER_REBALANCES, "outcome" => outcome).increment(0);
    }
    for cause in RetryCause::ALL {
        counter!(names::CONSUMER_BATCH_RETRIES, "cause" => cause.name()).increment(0);
    }
}

/// Counts a change of the assignment that was answered.
pub(crate) fn count_rebalance(is_assignment: bool, is_lost: bool) {
    let outcome = match (is_assignment, is_lost) {
        (true, _) => "assigned",
        (false, false) => "revoked",
        (false, true) => "lost",
    };
    counter!(names::CONSUMER_REBALANCES, "outcome" => outcome).increment(1);
}

/// Log lines are counted elsewhere.
pub(super) fn record_dropped_lines() {
    counter!(names::CONSUMER_LOG_LINES_DROPPED).absolute(lost_lines());
}
