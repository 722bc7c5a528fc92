//! Where each lane stands, for whoever looks on. A lane notes it without knowing who that is, or whether
//! anybody does; a request notes its retries for the lane whose task it runs in.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use catalog_shared::cursor::Interval;

use crate::model::idspace;

tokio::task_local! {
    static LANE: Arc<Watched>;
}

/// A lane that may be looked at from outside of its task.
#[derive(Default)]
pub(crate) struct Watched(Mutex<Lane>);

/// Where a lane stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Lane {
    /// How much of its interval is done, or of a listing, from 0 to 1.
    pub(crate) done: f64,
    /// How many objects it has got.
    pub(crate) objects: u64,
    /// How many of its requests were sent again.
    pub(crate) retries: u64,
    /// Until when it waits before it asks again.
    pub(crate) paused_until: Option<Instant>,
}

impl Watched {
    pub(crate) fn look(&self) -> Lane {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Runs a lane's work so that its notes are kept.
pub(crate) async fn lane<T>(watched: Arc<Watched>, work: impl Future<Output = T>) -> T {
    LANE.scope(watched, work).await
}

/// Notes how far the lane has come in its interval, and how many objects that brought.
pub(crate) fn reached(interval: &Interval, id: &str, objects: usize) {
    note(|lane| {
        lane.done = idspace::share_before(interval, id);
        lane.objects += objects as u64;
    });
}

/// Notes how many of the places that can be listed by date are behind the lane, and how many objects the last
/// page of them brought.
pub(crate) fn listed(share: f64, objects: usize) {
    note(|lane| {
        lane.done = share;
        lane.objects += objects as u64;
    });
}

/// Notes that the lane has no more to do in its interval.
pub(crate) fn finished() {
    note(|lane| lane.done = 1.0);
}

/// Notes that the lane asks again, not before this time.
pub(crate) fn retried(until: Instant) {
    note(|lane| {
        lane.retries += 1;
        lane.paused_until = Some(until);
    });
}

/// Outside of a lane there is nobody to note it for: `/domains` is asked for by the crawl itself.
fn note(change: impl FnOnce(&mut Lane)) {
    let _ = LANE.try_with(|lane| change(&mut lane.0.lock().unwrap_or_else(PoisonError::into_inner)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_noted_in_a_lane_is_that_lanes_alone() {
        let (one, other) = (Arc::new(Watched::default()), Arc::new(Watched::default()));
        let until = Instant::now();
        lane(Arc::clone(&one), async {
            reached(
                &Interval { after: "2222-2222".into(), until: Some("i222-2222".into()) },
                "a222-2222",
                100,
            );
            retried(until);
        })
        .await;
        retried(until);
        assert_eq!(one.look(), Lane { done: 0.5, objects: 100, retries: 1, paused_until: Some(until) });
        assert_eq!(other.look(), Lane::default());
    }
}
