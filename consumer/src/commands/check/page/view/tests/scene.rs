//! What a page shows in tests.

use std::sync::Arc;
use std::time::Duration;

pub(super) use catalog_shared::monitoring::HealthResponse as Health;
use serde_json::Value;

use super::super::*;
use crate::commands::check::facts::{
    Facts, HeldRun, LastFullCrawl, OpenDeadLetters, RunFacts, ShieldedDomain,
};
use crate::commands::check::page::ledger::{LatestRun, OpenDeadLetter, RetiredDataset};
use crate::commands::check::page::live::LivePartition;
use crate::commands::check::page::reading::Gap;

pub(super) const HOUR: f64 = 3600.0;
/// What a publisher might write to harm whoever looks at the page.
pub(super) const HOSTILE: &str = "</style><script>alert('1')</script><img src=\"x\" onerror=\"alert(1)\">";

pub(super) fn now() -> OffsetDateTime {
    OffsetDateTime::UNIX_EPOCH + Duration::from_secs(20_000 * 86_400)
}

/// What a test knows.
pub(super) struct Scene {
    pub(super) live: Live,
    pub(super) ledger: Known<Ledger>,
    pub(super) lag: Known<Lag>,
    pub(super) about: About,
}

impl Scene {
    pub(super) fn document(self) -> String {
        let limits = LimitArgs::from_environment().unwrap();
        let Self { live, ledger, lag, about } = self;
        View { now: now(), live: &live, ledger, lag, limits: &limits, about: &about }.document()
    }
}

pub(super) fn known<T>(value: T) -> Known<T> {
    Known { last: Some((now(), Arc::new(value))), gap: None }
}

pub(super) fn unknown<T>(why: &str) -> Known<T> {
    Known { last: None, gap: Some(gap(why)) }
}

pub(super) fn gap(why: &str) -> Gap {
    Gap { since: now() - Duration::from_secs(125), why: why.to_owned(), has_failed: true }
}

pub(super) fn healthy() -> Live {
    let report = |summary: &str| Health { is_ok: true, summary: summary.to_owned(), body: Value::Null };
    Live {
        health: report("healthy"),
        readiness: report("ready, with 2 partitions"),
        waits: Vec::new(),
        partitions: Vec::new(),
    }
}

pub(super) fn empty_ledger() -> Ledger {
    let facts = Facts {
        runs: RunFacts::default(),
        shielded: Vec::new(),
        dead_letters: OpenDeadLetters::default(),
        positions: crate::model::positions::Positions::default(),
        other_topics: None,
    };
    Ledger {
        facts,
        runs: Vec::new(),
        retired: Vec::new(),
        dead_letters: Vec::new(),
        server_version: "15.18".into(),
    }
}

pub(super) fn run(run: i64, state: &str, published: i64) -> LatestRun {
    LatestRun {
        region: "us".into(),
        run,
        mode: Some("full".into()),
        state: state.into(),
        ended_at: Some(now() - Duration::from_secs(7_200)),
        published: Some(published),
        dead: Some(0),
        retired: Some(12),
    }
}

/// Everything there is to show, with this text wherever others choose the text.
pub(super) fn busy_ledger(text: &str) -> Ledger {
    let text = || text.to_owned();
    let mut ledger = empty_ledger();
    ledger.facts.runs.full_crawls =
        vec![LastFullCrawl { region: "us".into(), run: Some(5), age: Some(2.0 * HOUR) }];
    ledger.facts.runs.held = vec![HeldRun { region: "us".into(), run: 6, reason: text(), age: Some(HOUR) }];
    ledger.facts.shielded = vec![ShieldedDomain { region: "us".into(), domain: text(), run: 5, kept: 1_200 }];
    ledger.facts.dead_letters = OpenDeadLetters { open: 12, first: Some(3), age: Some(HOUR) };
    ledger.dead_letters =
        vec![OpenDeadLetter { id: 14, topic: "socrata.hosts".into(), reason: text(), seen_at: now() }];
    ledger.runs = vec![run(6, "held", 9_000), run(5, "balanced", 30_457)];
    ledger.retired = vec![RetiredDataset {
        region: "us".into(),
        domain: text(),
        id: "abcd-1234".into(),
        name: Some(text()),
        kind: Some(text()),
        retired_at: now() - Duration::from_secs(7_200),
    }];
    ledger
}

pub(super) fn scene(ledger: Ledger) -> Scene {
    let about = About {
        group: "catalog-consumer".into(),
        topic_prefix: "socrata.".into(),
        schema: "catalog".into(),
        started_at: now() - Duration::from_secs(90_000),
    };
    let lag = Lag { partitions: 26, ..Lag::default() };
    Scene { live: healthy(), ledger: known(ledger), lag: known(lag), about }
}

/// The text of a document without its tags.
pub(super) fn text(document: &str) -> String {
    let parts = document.split('<').filter_map(|part| part.split_once('>'));
    parts.map(|(_, text)| text).collect()
}

pub(super) fn assert_shows(document: &str, expected: &[&str]) {
    let text = text(document);
    for expected in expected {
        assert!(text.contains(expected), "{expected} is missing:\n{text}");
    }
}

/// An assigned partition with 40 unread records, the oldest of which is 350 s old.
pub(super) fn own(partition: i32, wait: Option<&'static str>, stalled: Option<u64>) -> LivePartition {
    LivePartition { topic: "socrata.hosts".into(), partition, records: Some(40), seconds: 350, wait, stalled }
}
