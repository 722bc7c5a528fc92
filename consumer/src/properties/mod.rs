//! The invariants of the tables, each a property of generated logs and histories: what a model says that
//! is a few lines long and knows nothing of SQL, the real apply path says on a real PostgreSQL.
//!
//! `PROPTEST_CASES` sets how many are generated (64 otherwise). A case that fails is made smaller, told, and
//! its seed goes to `proptest-regressions/`, which is kept: those are tried first ever after.

mod content;
mod generate;
mod guards;
mod history;
mod log;
mod model;
mod tables;

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fmt::Debug;

use anyhow::{Result, ensure};
use catalog_shared::region::Region;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use tokio::runtime::{Builder, Runtime};

use generate::{Case, Run};
use history::History;
use log::Log;
use model::Model;
use tables::Tables;

use crate::books::outbox;

/// Checks a property of two sets of tables that are empty for each case.
fn holds(name: &'static str, property: &impl AsyncFn(&Tables, &Tables, &Case) -> Result<()>) {
    let runtime: Runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let make = async { anyhow::Ok((Tables::make(name).await?, Tables::make(name).await?)) };
    let (live, other) = runtime.block_on(make).unwrap();
    let mut config = Config::with_source_file(file!());
    if env::var_os("PROPTEST_CASES").is_none() {
        config.cases = 64;
    }
    let check = async |case: Case| {
        live.wipe().await?;
        other.wipe().await?;
        property(&live, &other, &case).await
    };
    let checked = TestRunner::new(config).run(&generate::case(), |case| {
        runtime.block_on(check(case)).map_err(|error| TestCaseError::fail(format!("{error:#}")))
    });
    runtime
        .block_on(async {
            live.drop().await?;
            other.drop().await
        })
        .unwrap();
    checked.unwrap_or_else(|error| panic!("{error}"));
}

/// Compares sets, and tells only what differs.
fn same<T: Ord + Debug>(what: &str, expected: &BTreeSet<T>, found: &BTreeSet<T>) -> Result<()> {
    let missing: Vec<_> = expected.difference(found).collect();
    let extra: Vec<_> = found.difference(expected).collect();
    ensure!(missing.is_empty() && extra.is_empty(), "{what}: expected {missing:#?}, found {extra:#?}");
    Ok(())
}

/// The runs that may retire, as the tables have it.
async fn accepted(tables: &Tables) -> Result<BTreeSet<(Region, u32)>> {
    let states = tables.states().await?;
    let accepted = |state: &str| matches!(state, "balanced" | "released");
    Ok(states.into_iter().filter(|(_, state)| accepted(state)).map(|(run, _)| run).collect())
}

/// Follows a case to the end of its log and to what comes after, and looks on the way.
async fn follow(
    log: &Log,
    tables: &Tables,
    case: &Case,
    look: impl AsyncFn(&History<'_>, &Model<'_>) -> Result<()>,
) -> Result<()> {
    let history = History::begin(log, tables, case.strict);
    let look = async |history: &History<'_>| {
        let delivered = history.delivered().await?;
        look(history, &Model { log, delivered: &delivered }).await
    };
    history.play(&case.steps, &look).await?;
    look(&history).await?;
    history.drain(&case.drain).await?;
    ensure!(history.delivered().await? == log.ends, "the end was not reached");
    look(&history).await?;
    history.play(&case.late, &look).await?;
    look(&history).await
}

/// I1: any order, any duplication, any split over consumers ends in the same rows.
#[test]
fn every_history_ends_in_the_rows_of_the_newest_records() {
    holds("rows", &async |tables, _, case| {
        follow(&Log::of(&case.runs), tables, case, async |_, model| {
            same("rows", &model.rows(&accepted(tables).await?), &tables.rows().await?)
        })
        .await
    });
}

/// I3: the ledger counts each record once, whatever is redelivered or replayed.
#[test]
fn every_history_counts_each_record_once() {
    holds("ledger", &async |tables, _, case| {
        follow(&Log::of(&case.runs), tables, case, async |_, model| {
            same("ledger", &model.ledger(), &tables.ledger().await?)?;
            same("dead letters", &model.dead_letters(), &tables.dead_letters().await?)?;
            // Each row was made once, by one record.
            let mut made: BTreeMap<String, i64> = BTreeMap::new();
            for row in model.rows(&BTreeSet::new()) {
                *made.entry(row.kind).or_default() += 1;
            }
            let found = tables.made().await?;
            ensure!(made == found, "new rows: expected {made:?}, found {found:?}");
            Ok(())
        })
        .await
    });
}

/// I4: nothing is retired on the word of a run whose books don't balance. They don't where compaction has
/// taken records away, either.
#[test]
fn only_runs_that_balance_or_are_released_retire() {
    holds("fates", &async |tables, _, case| {
        let log = Log::of(&case.runs).compacted(&case.dropped);
        follow(&log, tables, case, async |history, model| {
            let (states, decided) = (tables.states().await?, history.decided());
            let fates = model.fates();
            ensure!(states.keys().eq(fates.keys()), "expected {fates:?}, found {states:?}");
            for (run, state) in &states {
                let decided = decided.get(run).copied();
                let mut later = states.iter().filter(|(other, _)| other.0 == run.0 && other.1 > run.1);
                let passed = later.any(|(_, state)| state == "balanced");
                let allowed = fates[run].states(decided, passed, case.strict);
                ensure!(allowed.contains(&state.as_str()), "{run:?} is {state}, and not of {allowed:?}");
            }
            same("rows", &model.rows(&accepted(tables).await?), &tables.rows().await?)
        })
        .await
    });
}

/// I2: the log after compaction, when any superseded record may be gone, ends in the same rows as the whole
/// log, if the verdicts are followed. Keys whose newest record can't be read are left out.
#[test]
fn a_compacted_log_ends_in_the_same_tables() {
    holds("compacted", &async |live, other, case| {
        let readable = |run: &Run| Run { broken: None, ..run.clone() };
        let log = Log::of(&case.runs.iter().map(readable).collect::<Vec<_>>());
        follow(&log, live, case, async |_, _| Ok(())).await?;
        rebuild(live, other, &log.compacted(&case.dropped), case).await
    });
}

/// I5: a rebuild equals the live tables, row for row, and finds so; of rows that are gone or changed it makes what
/// they were.
#[test]
fn a_rebuild_ends_in_the_same_tables() {
    holds("rebuilt", &async |live, other, case| {
        follow(&Log::of(&case.runs), live, case, async |_, _| Ok(())).await?;
        rebuild(live, other, &Log::of(&case.runs), case).await?;
        let before = live.contents().await?;
        ensure!(live.make_equal_to(other).await? == 0, "a rebuild finds what is none");
        live.damage().await?;
        live.make_equal_to(other).await?;
        same("mended tables", &before, &live.contents().await?)
    });
}

/// Applies a log to other tables, which follow the verdicts of the live ones, and compares.
async fn rebuild(live: &Tables, other: &Tables, log: &Log, case: &Case) -> Result<()> {
    outbox::follow(&other.pool, &outbox::unpublished(&live.pool).await?).await?;
    History::begin(log, other, case.strict).drain(&case.replay).await?;
    let (live, other) = (live.contents().await?, other.contents().await?);
    same("tables", &live, &other)
}
