//! The invariants of the tables, as properties of generated logs and histories: the real apply path on a real PostgreSQL
//! gives the same result as a short model without SQL.
//!
//! `PROPTEST_CASES` sets the number of cases (default 64). A failing case is shrunk and printed, and its seed is stored in
//! `proptest-regressions/`, which is committed. Stored seeds run first.

mod content;
mod copying;
mod descriptions;
mod forms;
mod generate;
mod grown_topics;
mod guards;
mod histories;
mod history;
mod log;
mod lost_connections;
mod model;
mod passes;
mod scan;
mod tables;
mod upgrade;

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fmt::Debug;

use anyhow::{Result, ensure};
use catalog_shared::decision::RunDecision;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use tokio::runtime::{Builder, Runtime};

use generate::{Case, Run};
use history::History;
use log::Log;
use model::{Fate, Model};
use tables::{Accepted, Tables};

use crate::store::outbox;

/// Checks a property with three sets of tables that are empty at the start of each case.
fn check_property(name: &'static str, property: &impl AsyncFn(&[Tables; 3], &Case) -> Result<()>) {
    let runtime: Runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let make = async {
        anyhow::Ok([Tables::make(name).await?, Tables::make(name).await?, Tables::make(name).await?])
    };
    let tables = runtime.block_on(make).unwrap();
    let mut config = Config::with_source_file(file!());
    if env::var_os("PROPTEST_CASES").is_none() {
        config.cases = 64;
    }
    let check = async |case: Case| {
        for tables in &tables {
            tables.wipe().await?;
        }
        property(&tables, &case).await
    };
    let checked = TestRunner::new(config).run(&generate::case(), |case| {
        runtime.block_on(check(case)).map_err(|error| TestCaseError::fail(format!("{error:#}")))
    });
    for tables in tables {
        runtime.block_on(tables.drop()).unwrap();
    }
    checked.unwrap_or_else(|error| panic!("{error}"));
}

/// Compares two sets. The error lists only the differences.
fn same<T: Ord + Debug>(what: &str, expected: &BTreeSet<T>, found: &BTreeSet<T>) -> Result<()> {
    let missing: Vec<_> = expected.difference(found).collect();
    let extra: Vec<_> = found.difference(expected).collect();
    ensure!(missing.is_empty() && extra.is_empty(), "{what}: expected {missing:#?}, found {extra:#?}");
    Ok(())
}

/// The accepted runs and their shields, read from the tables.
async fn accepted(tables: &Tables) -> Result<Accepted> {
    let (states, mut shields) = (tables.states().await?, tables.shields(false).await?);
    let accepted = |state: &str| matches!(state, "balanced" | "released");
    let runs = states.into_iter().filter(|(_, state)| accepted(state)).map(|(run, _)| run);
    Ok(runs.map(|run| (run, shields.remove(&run).unwrap_or_default())).collect())
}

/// Plays a case to the end of its log and its late steps, and runs the check at each checkpoint.
async fn follow(
    log: &Log,
    tables: &Tables,
    case: &Case,
    check: impl AsyncFn(&History<'_>, &Model<'_>) -> Result<()>,
) -> Result<()> {
    let history = History::begin(log, tables, case.strict);
    let check_now = async |history: &History<'_>| {
        let delivered = history.delivered().await?;
        check(history, &Model { log, delivered: &delivered }).await
    };
    history.play(&case.steps, &check_now).await?;
    check_now(&history).await?;
    history.drain(&case.drain).await?;
    ensure!(history.delivered().await? == log.ends, "the end was not reached");
    check_now(&history).await?;
    history.play(&case.late, &check_now).await?;
    check_now(&history).await
}

/// I1: any order, duplication or distribution over consumers gives the same rows.
#[test]
fn every_history_ends_in_the_rows_of_the_newest_records() {
    check_property("rows", &async |[tables, ..], case| {
        follow(&Log::of(&case.runs), tables, case, async |_, model| {
            same("rows", &model.rows(&accepted(tables).await?), &tables.rows().await?)
        })
        .await
    });
}

/// I3: the ledger counts each record once, regardless of redeliveries and replays.
#[test]
fn every_history_counts_each_record_once() {
    check_property("ledger", &async |[tables, ..], case| {
        follow(&Log::of(&case.runs), tables, case, async |_, model| {
            same("ledger", &model.ledger(), &tables.ledger().await?)?;
            same("dead letters", &model.dead_letters(), &tables.dead_letters().await?)?;
            // One record created each row, once.
            let mut made: BTreeMap<String, i64> = BTreeMap::new();
            for row in model.rows(&Accepted::new()) {
                *made.entry(row.kind).or_default() += 1;
            }
            let found = tables.made().await?;
            ensure!(made == found, "new rows: expected {made:?}, found {found:?}");
            Ok(())
        })
        .await
    });
}

/// I4: a run with an incomplete ledger retires nothing. The ledger is also incomplete if compaction removed records.
#[test]
fn only_runs_that_balance_or_are_released_retire() {
    check_property("fates", &async |[tables, ..], case| {
        let log = Log::of(&case.runs).compacted(&case.dropped);
        follow(&log, tables, case, async |history, model| {
            let (states, decided) = (tables.states().await?, history.decided());
            let fates = model.fates();
            ensure!(states.keys().eq(fates.keys()), "expected {fates:?}, found {states:?}");
            for (run, state) in &states {
                let decided = decided.get(run).copied();
                let mut later = states.iter().filter(|(other, _)| other.0 == run.0 && other.1 > run.1);
                let passed =
                    later.any(|(later, state)| state == "balanced" && model.covers_all_of(*later, *run));
                let allowed = fates[run].states(decided, passed, case.strict);
                ensure!(allowed.contains(&state.as_str()), "{run:?} is {state}, not one of {allowed:?}");
            }
            let all = tables.shields(true).await?;
            for run in
                fates.iter().filter(|(_, fate)| matches!(fate, Fate::Good | Fate::Bad)).map(|(run, _)| run)
            {
                let shields = all.get(run).cloned().unwrap_or_default();
                let mut missing = model.must_shield(*run);
                missing.retain(|domain| !shields.contains_key(domain));
                ensure!(missing.is_empty(), "{run:?} does not shield {missing:?}");
                for (domain, first) in shields.iter().filter_map(|(domain, first)| Some((domain, (*first)?)))
                {
                    ensure!(
                        model.may_confirm(*run, domain, first),
                        "{run:?} confirms {domain} from {first} on"
                    );
                }
            }
            same("rows", &model.rows(&accepted(tables).await?), &tables.rows().await?)
        })
        .await
    });
}

/// I2: a compacted log, which lacks any superseded records, gives the same rows as the full log if the published decisions
/// are followed. Keys whose newest record can't be read are excluded.
#[test]
fn a_compacted_log_ends_in_the_same_tables() {
    check_property("compacted", &async |[live, other, _], case| {
        let readable = |run: &Run| Run { broken: None, ..run.clone() };
        let log = Log::of(&case.runs.iter().map(readable).collect::<Vec<_>>());
        follow(&log, live, case, async |_, _| Ok(())).await?;
        rebuild(live, other, &log.compacted(&case.dropped), case).await
    });
}

/// I5: a rebuild gives the same rows as the live tables and reports no difference. It restores deleted and changed rows.
#[test]
fn a_rebuild_ends_in_the_same_tables() {
    check_property("rebuilt", &async |[live, other, _], case| {
        follow(&Log::of(&case.runs), live, case, async |_, _| Ok(())).await?;
        rebuild(live, other, &Log::of(&case.runs), case).await?;
        let before = live.contents().await?;
        ensure!(live.make_equal_to(other).await? == 0, "a rebuild reports differences where there are none");
        live.damage().await?;
        live.make_equal_to(other).await?;
        same("repaired tables", &before, &live.contents().await?)
    });
}

/// Three installations with their own thresholds and manual decisions agree once each has read what the others published,
/// in any order.
#[test]
fn installations_that_exchange_verdicts_agree() {
    check_property("exchanged", &async |[one, two, third], case| {
        let log = Log::of(&case.runs);
        follow(&log, one, case, async |_, _| Ok(())).await?;
        let history = History::begin(&log, two, !case.strict);
        history.drain(&case.replay).await?;
        history.play(&case.late, &async |_| Ok(())).await?;
        // The third one is still empty.
        exchange(&log, [one, two, third], case).await
    });
}

async fn exchange(log: &Log, installations: [&Tables; 3], case: &Case) -> Result<()> {
    let [one, two, third] = installations;
    let mut topic: BTreeMap<String, RunDecision> = BTreeMap::new();
    for round in 0.. {
        ensure!(round < 10, "the exchange does not end: {topic:#?}");
        let mut sent = 0;
        for tables in [two, one, third] {
            for decision in outbox::unpublished(&tables.pool).await? {
                topic.insert(decision.key(), decision.clone());
                outbox::mark_published(&tables.pool, &decision).await?;
                sent += 1;
            }
            let last: Vec<RunDecision> = topic.values().cloned().collect();
            outbox::merge(&tables.pool, &last).await?;
        }
        if round == 0 {
            History::begin(log, third, case.strict).drain(&case.drain).await?;
        }
        let mut left = 0;
        for tables in installations {
            left += outbox::unpublished(&tables.pool).await?.len();
        }
        if sent + left == 0 && round > 0 {
            break;
        }
    }
    for other in [two, third] {
        ensure!(one.shields(false).await? == other.shields(false).await?, "the shields differ");
        ensure!(one.states().await? == other.states().await?, "the states differ");
        same("tables", &one.contents().await?, &other.contents().await?)?;
    }
    Ok(())
}

/// Applies a log to other tables, which follow the decisions of the live ones, and compares the two.
async fn rebuild(live: &Tables, other: &Tables, log: &Log, case: &Case) -> Result<()> {
    outbox::merge(&other.pool, &outbox::unpublished(&live.pool).await?).await?;
    History::begin(log, other, case.strict).drain(&case.replay).await?;
    let (live, other) = (live.contents().await?, other.contents().await?);
    same("tables", &live, &other)
}
