//! The decisions that the topic contains, as far as `run` has read it. After a crash, or in a restored copy, the tables
//! may lack some of them. A run is decided by the rules only if the topic has no decision about it, and a decision is published
//! only if the topic does not have a better one.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use catalog_shared::decision::RunDecision;
use catalog_shared::region::Region;
use tokio::sync::Notify;

use crate::store::ledger::decisions::RunId;

/// The last decision of each run in the topic: a few hundred bytes each.
#[derive(Debug, Default)]
pub(crate) struct PublishedDecisions {
    last: Mutex<BTreeMap<(Region, u32), RunDecision>>,
    tables_may_lack_some: Notify,
}

impl PublishedDecisions {
    /// Remembers decisions that were read from the topic, in its order.
    pub(crate) fn learn(&self, read: &[RunDecision]) {
        self.last().extend(read.iter().map(|decision| ((decision.region, decision.run), decision.clone())));
    }

    /// The decision about a run.
    pub(crate) fn find(&self, id: RunId) -> Option<RunDecision> {
        self.last().get(&(id.region, id.run)).cloned()
    }

    /// Whether the topic has exactly this decision.
    pub(crate) fn contains(&self, decision: &RunDecision) -> bool {
        self.find(RunId::of(decision)).as_ref() == Some(decision)
    }

    /// All of them.
    pub(crate) fn all(&self) -> Vec<RunDecision> {
        self.last().values().cloned().collect()
    }

    /// Whether the topic has more about a run than this decision, which a record of it would overwrite.
    pub(crate) fn has_more_than(&self, decision: &RunDecision) -> bool {
        let published = self.find(RunId::of(decision));
        published.is_some_and(|published| {
            published.ended_at == decision.ended_at && decision.clone().merge(published) != *decision
        })
    }

    /// Records that the tables may have lost some: commits were undone, or another copy of the tables took over.
    pub(crate) fn recheck(&self) {
        self.tables_may_lack_some.notify_one();
    }

    /// Returns once the tables may lack some.
    pub(crate) async fn recheck_due(&self) {
        self.tables_may_lack_some.notified().await;
    }

    fn last(&self) -> MutexGuard<'_, BTreeMap<(Region, u32), RunDecision>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
