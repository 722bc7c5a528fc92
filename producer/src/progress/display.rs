//! How far a crawl has come, while it goes on: on a terminal a bar a lane and one for the whole, elsewhere
//! one line in ten seconds.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use catalog_shared::cursor::{Cursor, Mode};
use catalog_shared::human;
use catalog_shared::rate::{Rate, seconds_left};
use catalog_shared::screen::{self, Drawing, Screen};
use indicatif::{MultiProgress, ProgressBar};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval_at};
use tracing::Instrument;

use crate::progress::counters::Tally;
use crate::progress::watch::{Lane, Watched};

/// How often a line is logged where there are no bars.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// What is published so far.
#[derive(Clone, Copy, Debug, Default)]
struct Total {
    pages: u32,
    objects: u64,
    /// How many objects there should be in the end, where that can be known.
    expected: Option<u64>,
}

/// A crawl's progress, shown until [`Progress::end`].
pub(crate) struct Progress {
    lanes: Vec<Arc<Watched>>,
    total: Arc<Mutex<Total>>,
    show: Show,
}

/// How it is shown.
enum Show {
    Bars(Drawing),
    Lines(JoinHandle<()>),
}

impl Progress {
    /// Begins to show the progress of so many lanes.
    pub(crate) fn start(screen: &Screen, lanes: usize, cursor: &Cursor, tally: &Arc<Tally>) -> Self {
        let lanes: Vec<Arc<Watched>> = (0..lanes).map(|_| Arc::default()).collect();
        let total = Arc::new(Mutex::new(Total::of(cursor)));
        let (watched, seen, tally) = (lanes.clone(), Arc::clone(&total), Arc::clone(tally));
        let show = match screen.bars() {
            Some(screen) => {
                let mut bars = Bars::new(screen, watched, seen, tally);
                Show::Bars(Drawing::start(move || bars.draw(Instant::now())))
            }
            None => Show::Lines(tokio::spawn(tell(seen).in_current_span())),
        };
        Self { lanes, total, show }
    }

    /// A lane to note things for.
    pub(crate) fn lane(&self, lane: usize) -> Arc<Watched> {
        self.lanes.get(lane).cloned().unwrap_or_default()
    }

    /// Notes what is published.
    pub(crate) fn published(&self, cursor: &Cursor) {
        *self.total.lock().unwrap_or_else(PoisonError::into_inner) = Total::of(cursor);
    }

    /// Ends the show; what comes next has the screen to itself.
    pub(crate) fn end(self) {
        match self.show {
            Show::Bars(drawing) => drawing.end(),
            Show::Lines(task) => task.abort(),
        }
    }
}

impl Total {
    fn of(cursor: &Cursor) -> Self {
        Self { pages: cursor.next_page, objects: cursor.objects, expected: expected(cursor) }
    }
}

/// How many objects a run is to find. Nobody says how many have changed since a time, or lie behind an id.
fn expected(cursor: &Cursor) -> Option<u64> {
    let shape = &cursor.shape;
    if shape.mode == Mode::Since || shape.from.is_some() {
        return None;
    }
    let is_of_run = |domain: &str| {
        shape.domains.is_empty() || shape.domains.iter().any(|wanted| wanted.eq_ignore_ascii_case(domain))
    };
    let declared = cursor.declared.iter().filter(|(domain, _)| is_of_run(domain)).map(|(_, count)| count);
    Some(declared.sum::<u64>().min(shape.limit.unwrap_or(u64::MAX)))
}

fn now(total: &Mutex<Total>) -> Total {
    *total.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn tell(total: Arc<Mutex<Total>>) {
    let mut tick = every(TELL_EVERY);
    loop {
        tick.tick().await;
        let Total { pages, objects, .. } = now(&total);
        tracing::info!(pages, objects, "crawled so far");
    }
}

fn every(period: Duration) -> tokio::time::Interval {
    let mut tick = interval_at(tokio::time::Instant::now() + period, period);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tick
}

/// The bars of a crawl. They vanish when they are dropped.
struct Bars {
    spacer: ProgressBar,
    lanes: Vec<(Arc<Watched>, ProgressBar, Rate)>,
    whole: ProgressBar,
    rate: Rate,
    total: Arc<Mutex<Total>>,
    tally: Arc<Tally>,
}

impl Bars {
    fn new(
        screen: &MultiProgress,
        lanes: Vec<Arc<Watched>>,
        total: Arc<Mutex<Total>>,
        tally: Arc<Tally>,
    ) -> Self {
        let spacer = screen::spacer(screen);
        let bar = |name: &str| screen::bar(screen, name);
        let lane = |(number, lane)| (lane, bar(&format!("lane {number}")), Rate::default());
        let lanes = (0..).zip(lanes).map(|(number, watched): (usize, _)| lane((number, watched))).collect();
        Self { spacer, lanes, whole: bar("total"), rate: Rate::default(), total, tally }
    }

    fn draw(&mut self, at: Instant) {
        self.spacer.tick();
        let all = self.tally.paused_until();
        for (watched, bar, rate) in &mut self.lanes {
            let lane = watched.look();
            screen::fill(bar, lane.done);
            bar.set_message(lane_line(
                &lane,
                rate.at(at, lane.objects),
                pause(at, lane.paused_until.max(all)),
            ));
        }
        let total = now(&self.total);
        screen::fill(&self.whole, share(total).unwrap_or_default());
        self.whole.set_message(total_line(total, self.rate.at(at, total.objects)));
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        for (_, bar, _) in &self.lanes {
            bar.finish_and_clear();
        }
        self.whole.finish_and_clear();
        self.spacer.finish_and_clear();
    }
}

fn lane_line(lane: &Lane, rate: f64, pause: Option<u64>) -> String {
    let pause = pause.map_or_else(String::new, |seconds| format!("pause {}", human::span(seconds)));
    format!("{:5.1} %  {rate:6.0}/s  {:6} retries  {pause:15}", lane.done * 100.0, lane.retries)
}

fn total_line(total: Total, rate: f64) -> String {
    let percent =
        share(total).map_or_else(|| "    ? %".to_owned(), |share| format!("{:5.1} %", share * 100.0));
    let left = left(total, rate).map_or_else(String::new, |left| format!("{} left", human::span(left)));
    format!("{percent}  {rate:6.0}/s  {:>7} assets  {left:15}", human::count(total.objects))
}

fn share(total: Total) -> Option<f64> {
    let expected = total.expected.filter(|expected| *expected > 0)?;
    Some((total.objects as f64 / expected as f64).min(1.0))
}

fn left(total: Total, rate: f64) -> Option<u64> {
    seconds_left(total.expected?.saturating_sub(total.objects), rate)
}

/// The seconds of a pause that is not over.
fn pause(at: Instant, until: Option<Instant>) -> Option<u64> {
    let left = until?.checked_duration_since(at).filter(|left| !left.is_zero())?;
    Some(left.as_secs() + 1)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use catalog_shared::cursor::{Shape, Since};
    use catalog_shared::region::Region;
    use time::OffsetDateTime;

    use super::*;
    use crate::run::lifecycle;

    #[test]
    fn what_is_expected_follows_from_the_shape() {
        let shape = |mode| Shape {
            mode,
            kinds: Vec::new(),
            api_url: String::new(),
            since: None,
            limit: None,
            domains: Vec::new(),
            from: None,
        };
        let expected = |shape| {
            let cursor = lifecycle::fresh(Region::Us, shape, 1, &BTreeMap::new());
            let declared = [("a.example".into(), 30), ("B.example".into(), 20), ("c.example".into(), 1)];
            expected(&Cursor { declared: declared.into(), ..cursor })
        };
        let domains = vec!["a.example".to_owned(), "b.example".to_owned()];
        let of_domains = Shape { domains, ..shape(Mode::Part) };
        assert_eq!((expected(shape(Mode::Full)), expected(of_domains.clone())), (Some(51), Some(50)));
        let limited = |limit| expected(Shape { limit: Some(limit), ..of_domains.clone() });
        assert_eq!((limited(7), limited(70)), (Some(7), Some(50)));
        let since = Some(Since { asked: "auto".into(), from: OffsetDateTime::UNIX_EPOCH });
        assert_eq!(expected(Shape { since, ..shape(Mode::Since) }), None);
        let from = Some("ijzp-q8t2".to_owned());
        assert_eq!(expected(Shape { from, limit: Some(7), ..shape(Mode::Part) }), None);
    }

    #[test]
    fn lines_keep_their_columns() {
        let paused = Lane { done: 1.0, objects: 7, retries: 12, paused_until: None };
        let lines = [lane_line(&Lane::default(), 0.0, None), lane_line(&paused, 12_345.6, Some(125))];
        assert!(lines[1].contains("12 retries") && lines[1].contains("pause 2 min 5 s"), "{lines:?}");
        let total = Total { pages: 9, objects: 41_800, expected: Some(185_542) };
        let whole = total_line(total, 1_000.0);
        assert!(whole.contains("22.5 %") && whole.contains("2 min 24 s left"), "{whole}");
        let unknown = total_line(Total { expected: None, ..total }, 1_000.0);
        assert!(!unknown.contains("left"), "{unknown}");
        assert_eq!(lines[0].chars().count(), unknown.chars().count());
    }
}
