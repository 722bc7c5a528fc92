//! The gauges of a scrape.

use std::time::{Duration, Instant};

use catalog_shared::monitoring::names;
use metrics::gauge;
use time::OffsetDateTime;

use super::health;
use super::partition_state::PartitionState;
use super::state::State;
use super::waits::WaitCause;
use crate::store::figures::{Figures, RegionFigures};

/// Records all gauges. What is not recorded here does not exist in this scrape.
pub(super) fn record(state: &State, is_ready: bool, now: Instant, clock: OffsetDateTime) {
    let is_healthy = health::health(state, now).is_ok;
    gauge!(names::CONSUMER_HEALTHY).set(f64::from(u8::from(is_healthy)));
    gauge!(names::CONSUMER_READY).set(f64::from(u8::from(is_ready)));
    gauge!(names::CONSUMER_PARTITIONS).set(state.partitions.len() as f64);
    for cause in WaitCause::ALL {
        let waits = state.waits(now).filter(|wait| wait.cause == cause);
        let longest = waits.map(|wait| now.saturating_duration_since(wait.since)).max();
        gauge!(names::CONSUMER_WAIT, "cause" => cause.name()).set(longest.unwrap_or_default());
    }
    state.partitions.values().for_each(|partition| record_lag(partition, now, clock));
    // Figures that were never read are as old as the wish to read them.
    if let Some(read) = state.figures.as_ref().map(|(read, _)| *read).or(state.joined) {
        gauge!(names::CONSUMER_LEDGER_AGE).set(now.saturating_duration_since(read));
    }
    if let Some((_, figures)) = &state.figures {
        record_figures(figures, clock);
    }
}

fn record_lag(state: &PartitionState, now: Instant, clock: OffsetDateTime) {
    let name = &state.topic_partition;
    let labels = [("topic", name.topic.clone()), ("partition", name.partition.to_string())];
    if let Some(lag) = state.lag() {
        gauge!(names::CONSUMER_LAG_RECORDS, &labels).set(lag as f64);
    }
    gauge!(names::CONSUMER_LAG_SECONDS, &labels).set(lag_time(state, now, clock));
}

/// The age of the oldest record that is not applied. Before any is received, the time for which the partition is known to be
/// behind.
pub(super) fn lag_time(state: &PartitionState, now: Instant, clock: OffsetDateTime) -> Duration {
    match (state.behind, state.oldest) {
        (None, _) => Duration::ZERO,
        (Some(_), Some(oldest)) => age(oldest, clock),
        (Some(since), None) => now.saturating_duration_since(since),
    }
}

/// The age of a time of another clock, which may be ahead.
fn age(time: OffsetDateTime, clock: OffsetDateTime) -> Duration {
    Duration::try_from(clock - time).unwrap_or_default()
}

fn record_figures(figures: &Figures, clock: OffsetDateTime) {
    for (topic, count) in &figures.open_dead_letters {
        gauge!(names::CONSUMER_DEAD_LETTERS, "topic" => topic.clone()).set(*count as f64);
    }
    figures.regions.iter().for_each(|region| record_region(region, clock));
}

fn record_region(figures: &RegionFigures, clock: OffsetDateTime) {
    let region = || figures.region.clone();
    gauge!(names::CONSUMER_HELD_RUNS, "region" => region()).set(figures.held as f64);
    if let Some(ended_at) = figures.full_run_ended_at {
        gauge!(names::CONSUMER_FULL_RUN_AGE, "region" => region()).set(age(ended_at, clock));
    }
    let Some(run) = figures.run else { return };
    gauge!(names::CONSUMER_LAST_RUN, "region" => region()).set(run as f64);
    if let Some((started_at, ended_at)) = figures.started_at.zip(figures.ended_at) {
        gauge!(names::CONSUMER_LAST_RUN_AGE, "region" => region()).set(age(ended_at, clock));
        gauge!(names::CONSUMER_LAST_RUN_DURATION, "region" => region()).set(age(started_at, ended_at));
    }
    let RegionFigures { published, applied, dead, retired, .. } = figures;
    for (outcome, count) in
        [("published", published), ("applied", applied), ("dead", dead), ("retired", retired)]
    {
        if let Some(count) = *count {
            gauge!(names::CONSUMER_LAST_RUN_RECORDS, "region" => region(), "outcome" => outcome)
                .set(count as f64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::run::monitoring::partition_state::tests::partition;

    #[test]
    fn the_lag_in_seconds_is_the_age_of_the_oldest_record_that_is_not_applied() {
        let (now, clock) = (Instant::now(), OffsetDateTime::now_utc());
        let later = now + Duration::from_secs(7);
        let mut state = partition(0, now);
        let lag = |state: &PartitionState, clock| lag_time(state, later, clock);
        // Nothing is left to apply.
        state.oldest = Some(clock);
        assert_eq!(lag(&state, clock + Duration::from_secs(60)), Duration::ZERO);
        state.behind = Some(now);
        assert_eq!(lag(&state, clock + Duration::from_secs(60)), Duration::from_secs(60));
        // The producer's clock is ahead.
        assert_eq!(lag(&state, clock - Duration::from_secs(60)), Duration::ZERO);
        // Not received yet.
        state.oldest = None;
        assert_eq!(lag(&state, clock), Duration::from_secs(7));
    }
}
