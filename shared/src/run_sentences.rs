//! Sentences about runs. `catalog-consumer check` and the end of a crawl use the same ones.

use crate::human::span;

/// A full crawl ended this many seconds ago.
#[must_use]
pub fn full_crawl_ended(region: &str, run: i64, seconds: u64) -> String {
    format!("full crawl of {region} ended {} ago (run {run})", span(seconds))
}

/// A run has not ended, and was last active this many seconds ago.
#[must_use]
pub fn run_not_ended(region: &str, run: i64, seconds: u64) -> String {
    format!("run {run} of {region} has not ended, and was last active {} ago", span(seconds))
}
