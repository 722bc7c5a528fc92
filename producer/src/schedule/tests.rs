use time::macros::datetime;

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// Every six hours with a full crawl a day, each half an hour after its slot.
fn schedule() -> Schedule {
    Schedule::new(HOUR * 6, Some(HOUR * 24), HOUR, 0.5)
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
        let schedule = Schedule::new(HOUR * 6, None, HOUR, drawn);
        assert_eq!(schedule.start(slot(MIDNIGHT)), MIDNIGHT + MINUTE * minutes, "{drawn}");
    }
}

#[test]
fn a_process_takes_the_slot_in_which_it_starts_for_half_of_it() {
    let schedule = schedule();
    let half = MIDNIGHT + HOUR * 3 + MINUTE * 30;
    assert_eq!(schedule.first(MIDNIGHT), slot(MIDNIGHT));
    assert_eq!(schedule.first(half - SECOND), slot(MIDNIGHT));
    assert_eq!(schedule.first(half), slot(MIDNIGHT + HOUR * 6));
    // Its own start has passed meanwhile.
    let next = schedule.next_step(slot(MIDNIGHT), MIDNIGHT + HOUR);
    assert_eq!(next, Next::Crawl { slot: slot(MIDNIGHT), missed: 0 });
}

#[test]
fn a_first_crawl_that_is_longer_than_its_slot_does_not_miss_that_slot() {
    let schedule = schedule();
    let (crawled, before) = (slot(MIDNIGHT), MIDNIGHT - SECOND);
    let ended = MIDNIGHT + HOUR * 10;
    let next_step = |started_at| schedule.next_step(schedule.during_first_crawl(crawled, started_at), ended);
    // Only the slot at six o'clock.
    assert_eq!(next_step(MIDNIGHT), Next::Missed { slot: slot(MIDNIGHT + HOUR * 12), missed: 1 });
    // The rest of a run of the day before is no crawl of the slot at midnight.
    assert_eq!(next_step(before), Next::Missed { slot: slot(MIDNIGHT + HOUR * 12), missed: 2 });
}

#[test]
fn a_long_wait_is_cut_into_short_ones() {
    let (schedule, expected) = (schedule(), slot(MIDNIGHT));
    let waits = |before: Duration| match schedule.next_step(expected, MIDNIGHT + MINUTE * 30 - before) {
        Next::Wait { slot, wait } if slot == expected => wait,
        other => panic!("{other:?}"),
    };
    assert_eq!(waits(HOUR), LOOK_EVERY);
    assert_eq!(waits(SECOND * 3), SECOND * 3);
}

#[test]
fn a_late_slot_is_crawled_unless_the_next_one_is_closer() {
    let schedule = Schedule::new(HOUR * 6, None, Duration::ZERO, 0.0);
    let next_step = |late: Duration| schedule.next_step(slot(MIDNIGHT), MIDNIGHT + late);
    let after = |hours: u32| slot(MIDNIGHT + HOUR * hours);
    assert_eq!(next_step(Duration::ZERO), Next::Crawl { slot: slot(MIDNIGHT), missed: 0 });
    assert_eq!(next_step(HOUR * 3 - SECOND), Next::Crawl { slot: slot(MIDNIGHT), missed: 0 });
    assert_eq!(next_step(HOUR * 3), Next::Missed { slot: after(6), missed: 1 });
    // The machine was asleep for a night.
    assert_eq!(next_step(HOUR * 13), Next::Crawl { slot: after(12), missed: 2 });
    assert_eq!(next_step(HOUR * 16), Next::Missed { slot: after(18), missed: 3 });
}

#[test]
fn a_crawl_with_the_longest_delay_that_starts_as_late_as_possible_starts_before_the_next_slot() {
    let schedule = Schedule::new(HOUR * 6, None, HOUR * 3, 1.0);
    let latest = MIDNIGHT + HOUR * 6 - SECOND;
    assert_eq!(schedule.next_step(slot(MIDNIGHT), latest), Next::Crawl { slot: slot(MIDNIGHT), missed: 0 });
    assert_eq!(schedule.during_first_crawl(slot(MIDNIGHT + HOUR * 6), latest), slot(MIDNIGHT + HOUR * 6));
    let missed = Next::Missed { slot: slot(MIDNIGHT + HOUR * 6), missed: 1 };
    assert_eq!(schedule.next_step(slot(MIDNIGHT), MIDNIGHT + HOUR * 6), missed);
}

#[test]
fn of_the_slots_that_pass_during_a_crawl_only_the_last_one_may_follow_at_once() {
    let schedule = schedule();
    let crawled = slot(MIDNIGHT);
    let after =
        |took: Duration| schedule.next_step(schedule.following(crawled), schedule.start(crawled) + took);
    let slot_after = |hours: u32| slot(MIDNIGHT + HOUR * hours);
    assert_eq!(after(HOUR), Next::Wait { slot: slot_after(6), wait: LOOK_EVERY });
    // Five minutes too long: the slot is neither lost nor missed.
    assert_eq!(after(HOUR * 6 + MINUTE * 5), Next::Crawl { slot: slot_after(6), missed: 0 });
    assert_eq!(after(HOUR * 10), Next::Missed { slot: slot_after(12), missed: 1 });
    assert_eq!(after(HOUR * 13), Next::Crawl { slot: slot_after(12), missed: 1 });
}

#[test]
fn what_a_running_crawl_has_missed_is_what_is_missed_at_its_end() {
    for (every, drawn) in [(HOUR * 6, 0.5), (SECOND, 1.0), (SECOND * 7, 0.3)] {
        let schedule = Schedule::new(every, None, every / 2, drawn);
        let next = schedule.following(slot(MIDNIGHT));
        let mut before = 0;
        for step in 0..200_u32 {
            let now = MIDNIGHT + every * step / 20;
            let missed = schedule.missed(next, now);
            assert!(missed >= before, "{step}");
            match schedule.next_step(next, now) {
                Next::Wait { .. } => assert_eq!(missed, 0),
                Next::Crawl { missed: found, .. } | Next::Missed { missed: found, .. } => {
                    assert_eq!(found, missed, "{step}");
                }
            }
            before = missed;
        }
    }
}

#[test]
fn a_clock_that_is_set_back_delays_crawls_by_an_interval_at_most() {
    let schedule = schedule();
    let expected = slot(MIDNIGHT);
    // By a second: the same slot is still expected.
    let now = schedule.start(expected) - SECOND;
    assert_eq!(schedule.next_step(expected, now), Next::Wait { slot: expected, wait: SECOND });
    // By a day.
    let now = schedule.start(expected) - HOUR * 24;
    let Next::Wait { slot: next, .. } = schedule.next_step(expected, now) else { panic!("no wait") };
    assert_eq!(next, slot(MIDNIGHT - HOUR * 18));
    assert_eq!(schedule.missed(expected, now), 0);
}

#[test]
fn a_full_crawl_is_due_once_in_its_interval_even_if_its_slot_was_missed() {
    let schedule = schedule();
    for hours in [0_u32, 6, 18] {
        assert_eq!(schedule.full_since(slot(MIDNIGHT + HOUR * hours)), Some(MIDNIGHT));
    }
    assert_eq!(schedule.full_since(slot(MIDNIGHT + HOUR * 24)), Some(MIDNIGHT + HOUR * 24));
    assert_eq!(Schedule::new(HOUR, None, Duration::ZERO, 0.0).full_since(slot(MIDNIGHT)), None);
}
