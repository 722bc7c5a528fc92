use time::macros::datetime;

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// Every six hours with a full crawl a day, each half an hour after its slot.
fn schedule() -> Schedule {
    Schedule::new((HOUR * 6, Some(HOUR * 24)), HOUR, 0.5)
}

const fn slot(time: OffsetDateTime) -> Slot {
    Slot(time)
}

const MIDNIGHT: OffsetDateTime = datetime!(2026-03-29 00:00 UTC);

#[test]
fn slots_are_multiples_of_the_interval_in_utc_whatever_the_season() {
    let schedule = schedule();
    // The night in which many time zones change to daylight saving time.
    let mut now = MIDNIGHT;
    for hour in [0_u32, 6, 12, 18, 24, 30] {
        let next = schedule.next(now);
        assert_eq!(schedule.start(next), MIDNIGHT + HOUR * hour + MINUTE * 30);
        now = schedule.start(next);
    }
    assert_eq!(schedule.next(datetime!(1969-12-31 23:00 UTC)), slot(datetime!(1970-01-01 00:00 UTC)));
}

#[test]
fn the_delay_is_within_the_jitter() {
    for (drawn, minutes) in [(0.0, 0), (0.25, 15), (1.0, 60), (7.0, 60), (-1.0, 0)] {
        let schedule = Schedule::new((HOUR * 6, None), HOUR, drawn);
        assert_eq!(schedule.start(slot(MIDNIGHT)), MIDNIGHT + MINUTE * minutes, "{drawn}");
    }
}

#[test]
fn a_process_takes_the_slot_in_which_it_starts_while_its_jitter_lasts() {
    let schedule = schedule();
    assert_eq!(schedule.first(MIDNIGHT), slot(MIDNIGHT));
    assert_eq!(schedule.first(MIDNIGHT + HOUR), slot(MIDNIGHT));
    assert_eq!(schedule.first(MIDNIGHT + HOUR + SECOND), slot(MIDNIGHT + HOUR * 6));
    // Its own start has passed meanwhile.
    let next = schedule.look(slot(MIDNIGHT), MIDNIGHT + HOUR);
    assert_eq!(next, Next::Crawl { slot: slot(MIDNIGHT), missed: 0 });
}

#[test]
fn a_wait_is_cut_into_looks_at_the_clock() {
    let (schedule, expected) = (schedule(), slot(MIDNIGHT));
    let waits = |before: Duration| match schedule.look(expected, MIDNIGHT + MINUTE * 30 - before) {
        Next::Wait { slot, wait } if slot == expected => wait,
        other => panic!("{other:?}"),
    };
    assert_eq!(waits(HOUR), LOOK_EVERY);
    assert_eq!(waits(SECOND * 3), SECOND * 3);
}

#[test]
fn a_slot_that_is_slightly_late_is_crawled_and_a_later_one_is_missed() {
    let schedule = Schedule::new((HOUR * 6, None), Duration::ZERO, 0.0);
    let look = |late: Duration| schedule.look(slot(MIDNIGHT), MIDNIGHT + late);
    let next = MIDNIGHT + HOUR * 6;
    assert_eq!(look(Duration::ZERO), Next::Crawl { slot: slot(MIDNIGHT), missed: 0 });
    assert_eq!(look(MINUTE), Next::Crawl { slot: slot(MIDNIGHT), missed: 0 });
    assert_eq!(look(MINUTE + SECOND), Next::Missed { slot: slot(next), missed: 1 });
    // The machine was asleep for a night.
    assert_eq!(look(HOUR * 13), Next::Missed { slot: slot(next + HOUR * 12), missed: 3 });
    assert_eq!(look(HOUR * 12 + SECOND), Next::Crawl { slot: slot(next + HOUR * 6), missed: 2 });
}

#[test]
fn slots_that_pass_during_a_crawl_are_missed_and_never_queued() {
    let schedule = schedule();
    let crawled = slot(MIDNIGHT);
    let after = |took: Duration| {
        let now = schedule.start(crawled) + took;
        (schedule.passed(schedule.following(crawled), now), schedule.next(now))
    };
    assert_eq!(after(HOUR), (0, slot(MIDNIGHT + HOUR * 6)));
    assert_eq!(after(HOUR * 6), (1, slot(MIDNIGHT + HOUR * 12)));
    assert_eq!(after(HOUR * 13), (2, slot(MIDNIGHT + HOUR * 18)));
}

#[test]
fn a_clock_that_is_set_back_delays_crawls_by_an_interval_at_most() {
    let schedule = schedule();
    let expected = slot(MIDNIGHT);
    // By a second: the same slot is still expected.
    let now = schedule.start(expected) - SECOND;
    assert_eq!(schedule.look(expected, now), Next::Wait { slot: expected, wait: SECOND });
    // By a day.
    let now = schedule.start(expected) - HOUR * 24;
    let Next::Wait { slot: next, .. } = schedule.look(expected, now) else { panic!("no wait") };
    assert_eq!(next, slot(MIDNIGHT - HOUR * 18));
    assert_eq!(schedule.passed(expected, now), 0);
}

#[test]
fn a_full_crawl_is_due_once_in_its_interval_even_if_its_slot_was_missed() {
    let schedule = schedule();
    for hours in [0_u32, 6, 18] {
        assert_eq!(schedule.full_since(slot(MIDNIGHT + HOUR * hours)), Some(MIDNIGHT));
    }
    assert_eq!(schedule.full_since(slot(MIDNIGHT + HOUR * 24)), Some(MIDNIGHT + HOUR * 24));
    assert_eq!(Schedule::new((HOUR, None), Duration::ZERO, 0.0).full_since(slot(MIDNIGHT)), None);
}
