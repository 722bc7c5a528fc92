use super::*;
use crate::schedule::Schedule;

const HOUR: Duration = Duration::from_secs(3600);

fn monitor() -> Monitor {
    Monitor::new(Region::Us, Duration::from_secs(100), &CancellationToken::new())
}

fn counters(monitor: &Monitor) -> Arc<Counters> {
    Arc::clone(&monitor.crawl().counters)
}

#[test]
fn a_crawl_without_an_answer_for_too_long_is_stalled_unless_it_waits_for_kafka() {
    let monitor = monitor();
    let later = |seconds| Instant::now() + Duration::from_secs(seconds);
    counters(&monitor).note_activity();
    // The region is not claimed yet.
    assert_eq!(monitor.problem(later(1_000)), None);
    monitor.set_covered(0.0);
    assert_eq!(monitor.problem(later(99)), None);
    assert!(monitor.problem(later(101)).is_some());
    let noted = counters(&monitor).active();
    counters(&monitor).add_bytes(1);
    assert!(counters(&monitor).active() > noted, "a slow body is progress");
    counters(&monitor).set_publishing(true);
    assert_eq!(monitor.problem(later(1_000)), None);
    counters(&monitor).set_publishing(false);
    assert!(monitor.problem(later(101)).is_some());
    monitor.end_crawl();
    assert_eq!(monitor.problem(later(1_000)), None);
}

#[test]
fn a_crawl_is_ready_from_its_claim_to_the_signal() {
    let monitor = monitor();
    assert!(!monitor.readiness().is_ok);
    monitor.set_covered(0.0);
    assert!(monitor.readiness().is_ok);
    monitor.shutdown.cancel();
    assert!(!monitor.readiness().is_ok);
}

#[test]
fn a_scheduled_process_is_ready_while_it_waits_and_from_then_on() {
    let schedule = Schedule::new(HOUR, None, Duration::ZERO, 0.0);
    let next = schedule.next(OffsetDateTime::now_utc());
    let state = Arc::new(ScheduleState::new(schedule, next));
    let monitor = monitor().with_schedule(Arc::clone(&state));
    assert!(!monitor.readiness().is_ok);
    state.wait(next);
    let waiting = monitor.readiness();
    assert!(waiting.is_ok && waiting.summary.starts_with("waiting for the crawl at "), "{waiting:?}");
    state.begin_crawl(next);
    monitor.begin_crawl(&Arc::default());
    assert!(monitor.readiness().is_ok);
    state.wait(next);
    assert!(monitor.problem(Instant::now() + HOUR).is_some());
}

#[test]
fn the_counts_of_a_process_are_those_of_all_its_crawls() {
    let monitor = monitor();
    for bytes in [1, 2, 4] {
        let counters = Arc::new(Counters::default());
        monitor.begin_crawl(&counters);
        counters.add_bytes(bytes);
        counters.add_outcome(None);
    }
    let crawl = monitor.crawl();
    let totals = crawl.earlier.clone().with(&crawl.counters);
    assert_eq!((totals.bytes, totals.outcomes), (7, [(None, 3)].into()));
}
