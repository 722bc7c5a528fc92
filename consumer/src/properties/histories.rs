//! Histories that justify the rules for judging runs: for each rule, one of these fails under a simpler rule.

use std::collections::BTreeSet;

use anyhow::Result;
use catalog_shared::cursor::Mode;
use catalog_shared::decision::{Choice, Decided, Judged, Judgement, RunDecision};
use catalog_shared::region::Region;
use time::OffsetDateTime;

use super::generate::{Missed, Run};
use super::history::History;
use super::log::{Log, domain, id};
use super::tables::Tables;
use crate::config::thresholds::RunThresholds;
use crate::store::ledger::decisions::{self, RunId};
use crate::store::ledger::manual_decisions::{self, Change};
use crate::store::outbox;

/// No threshold for the share of a region. A domain is large from four datasets on.
const LIMITS: RunThresholds =
    RunThresholds { max_retire_share: 1.0, min_seen_share: 0.95, confirm_after: 3, large_domain: 4 };
/// The assets of the first domain, the second one, and the last one, which full crawls may not reach.
const A: [u8; 6] = [0, 3, 6, 9, 12, 15];
const B: [u8; 6] = [1, 4, 7, 10, 13, 16];
const C: [u8; 3] = [2, 5, 8];

/// A full crawl more than a day after the previous one. It sees these assets, and `/domains` declares the same number.
fn full(assets: &[&[u8]]) -> Run {
    let page = assets.concat();
    let count = |of: u8| u8::try_from(page.iter().filter(|asset| **asset % 3 == of).count()).unwrap();
    let declared = [0, 1, 2].map(|of| Some(count(of)).filter(|count| *count > 0));
    Run {
        region: Region::Us,
        mode: Mode::Full,
        only: None,
        hides: false,
        datasets: true,
        grows: None,
        declared,
        pause: 25,
        pages: vec![page.into_iter().map(|asset| (asset, 0)).collect()],
        abandoned: false,
        passed_over: false,
        lost: None,
        broken: None,
        missed: Missed::Nothing,
    }
}

/// A crawl of one domain.
fn scoped(only: u8, assets: &[&[u8]]) -> Run {
    Run { mode: Mode::Part, only: Some(only), ..full(assets) }
}

/// The states of all runs, and the retired assets with the run that retired each.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    states: Vec<String>,
    retired: BTreeSet<(String, i64)>,
}

async fn outcome(tables: &Tables) -> Result<Outcome> {
    let states = sqlx::query_scalar("select state from runs order by run").fetch_all(&tables.pool).await?;
    let retired = "select id, run from socrata_datasets join runs on ended_at = retired_at";
    let retired: Vec<(String, i64)> = sqlx::query_as(retired).fetch_all(&tables.pool).await?;
    Ok(Outcome { states, retired: retired.into_iter().collect() })
}

/// Checks the states, and which of these assets which run retired.
fn check(found: &Outcome, states: &[&str], retired: &[(&[u8], i64)]) {
    let retired = retired.iter().flat_map(|(assets, run)| assets.iter().map(|asset| (id(*asset), *run)));
    let expected = Outcome {
        states: states.iter().map(|state| (*state).to_owned()).collect(),
        retired: retired.collect(),
    };
    assert_eq!(*found, expected);
}

async fn tables(runs: &[Run]) -> Result<Tables> {
    let tables = Tables::make("history").await?;
    History::within(&Log::of(runs), &tables, LIMITS).drain_from(0, 1000).await?;
    Ok(tables)
}

/// The outcome of these runs.
async fn played(runs: &[Run]) -> Result<Outcome> {
    let tables = tables(runs).await?;
    let outcome = outcome(&tables).await?;
    tables.drop().await?;
    Ok(outcome)
}

const fn run_id(run: u32) -> RunId {
    RunId { region: Region::Us, run }
}

#[tokio::test]
async fn full_crawls_do_not_judge_what_they_never_reached() -> Result<()> {
    let hiding = || Run { hides: true, ..full(&[&B]) };
    let mut runs = vec![scoped(2, &[&C]), hiding(), hiding()];
    check(&played(&runs).await?, &["balanced"; 3], &[]);
    // After a full crawl has seen the domain, later ones cover it: they notice missing assets and a closed domain.
    runs.extend([full(&[&B, &C[..2]]), full(&[&B])]);
    check(&played(&runs).await?, &["balanced"; 5], &[(&C[2..], 4), (&C[..2], 5)]);
    Ok(())
}

#[tokio::test]
async fn a_crawl_of_a_domain_retires_there_and_nowhere_else() -> Result<()> {
    let runs = [scoped(2, &[&C, &B[..1]]), scoped(2, &[&C[..2]])];
    check(&played(&runs).await?, &["balanced"; 2], &[(&C[2..], 2)]);
    let limited = Run { only: None, ..scoped(2, &[&C[..1]]) };
    let runs = [full(&[&B, &C]), limited, Run { mode: Mode::Since, ..full(&[&B[..1]]) }];
    check(&played(&runs).await?, &["balanced", "ended", "ended"], &[]);
    Ok(())
}

#[tokio::test]
async fn a_run_on_hold_is_superseded_only_by_one_that_covers_as_much() -> Result<()> {
    let held = Run { missed: Missed::Unknown, ..scoped(2, &[&C[..2]]) };
    let mut runs = vec![full(&[&B, &C]), held, scoped(1, &[&B])];
    check(&played(&runs).await?, &["balanced", "held", "balanced"], &[]);
    runs.push(full(&[&B, &C]));
    check(&played(&runs).await?, &["balanced", "superseded", "balanced", "balanced"], &[]);
    Ok(())
}

#[tokio::test]
async fn a_broken_domain_is_shielded_and_the_others_retire() -> Result<()> {
    let runs = [full(&[&A, &B, &C]), full(&[&A[..2], &B[..5], &C[..1]])];
    check(&played(&runs).await?, &["balanced"; 2], &[(&B[5..], 2), (&C[1..], 2)]);
    let without_id = Run { missed: Missed::Of(2), ..full(&[&A, &B[..5], &C[..1]]) };
    check(&played(&[full(&[&A, &B, &C]), without_id]).await?, &["balanced"; 2], &[(&B[5..], 2)]);
    let unreadable = Run { missed: Missed::Asset(8), ..full(&[&A, &B[..5], &C[..1]]) };
    check(&played(&[full(&[&A, &B, &C]), unreadable]).await?, &["balanced"; 2], &[(&B[5..], 2)]);
    let malformed = Run { missed: Missed::Entry, ..full(&[&A, &B[..5], &C]) };
    check(&played(&[full(&[&A, &B, &C]), malformed]).await?, &["balanced"; 2], &[(&B[5..], 2)]);
    let unknown = Run { missed: Missed::Unknown, ..full(&[&A, &B[..5], &C]) };
    check(&played(&[full(&[&A, &B, &C]), unknown]).await?, &["balanced", "held"], &[]);
    Ok(())
}

#[tokio::test]
async fn a_domain_that_is_shut_down_is_retired_by_the_third_crawl_over_two_days() -> Result<()> {
    let gone = || full(&[&B]);
    let runs = [full(&[&A, &B]), gone(), gone(), gone()];
    check(&played(&runs[..3]).await?, &["balanced"; 3], &[]);
    check(&played(&runs).await?, &["balanced"; 4], &[(&A, 4)]);
    let soon = || Run { pause: 0, ..gone() };
    check(&played(&[full(&[&A, &B]), soon(), soon(), soon()]).await?, &["balanced"; 4], &[]);
    Ok(())
}

#[tokio::test]
async fn assets_that_domains_still_declares_are_not_retired() -> Result<()> {
    let gone = |declared: Option<u8>| Run { declared: [declared, Some(6), None], ..full(&[&B]) };
    for declared in [[Some(6); 3], [Some(6), None, None], [None, Some(6), None], [None, None, Some(6)]] {
        let mut runs = vec![full(&[&A, &B])];
        runs.extend(declared.map(gone));
        check(&played(&runs).await?, &["balanced"; 4], &[]);
    }
    Ok(())
}

#[tokio::test]
async fn crawls_on_hold_and_declined_crawls_confirm_nothing() -> Result<()> {
    let gone = || full(&[&B]);
    let held = || Run { missed: Missed::Unknown, ..gone() };
    let mut runs = vec![full(&[&A, &B]), gone(), held(), gone()];
    check(&played(&runs).await?, &["balanced", "balanced", "superseded", "balanced"], &[]);
    runs.push(gone());
    let states = ["balanced", "balanced", "superseded", "balanced", "balanced"];
    check(&played(&runs).await?, &states, &[(&A, 5)]);
    Ok(())
}

#[tokio::test]
async fn only_new_absences_are_checked_against_the_thresholds_again() -> Result<()> {
    let large: [u8; 10] = [0, 3, 6, 9, 12, 15, 18, 21, 24, 27];
    let halved = || full(&[&large[6..], &B]);
    let runs = [full(&[&large, &B]), halved(), halved(), full(&[&large[9..], &B])];
    // Three of the four remaining assets are newly absent, so the shield stays for these.
    check(&played(&runs).await?, &["balanced"; 4], &[(&large[..6], 4)]);
    Ok(())
}

#[tokio::test]
async fn a_lifted_shield_and_an_approval_can_be_undone() -> Result<()> {
    let held = Run { missed: Missed::Unknown, ..full(&[&A[..2], &B[..5]]) };
    let tables = tables(&[full(&[&A, &B]), held]).await?;
    let decide =
        async |change: Change| manual_decisions::decide(&tables.pool, run_id(2), &change, None).await;
    let lift = || Change::Approve([domain(0)].into());
    check(&outcome(&tables).await?, &["balanced", "held"], &[]);
    decide(Change::Approve(BTreeSet::new())).await?;
    check(&outcome(&tables).await?, &["balanced", "released"], &[(&B[5..], 2)]);
    decide(lift()).await?;
    check(&outcome(&tables).await?, &["balanced", "released"], &[(&A[2..], 2), (&B[5..], 2)]);
    decide(Change::Undo).await?;
    check(&outcome(&tables).await?, &["balanced", "held"], &[]);
    assert!(decide(Change::Undo).await.unwrap_err().to_string().contains("nothing to undo"));
    assert!(decide(Change::Approve([domain(1)].into())).await.unwrap_err().to_string().contains("shield"));
    // The numbers that were shown are checked again.
    let shown = Some(decisions::RetirementCounts { retired: 7, returned: 0 });
    let refused = manual_decisions::decide(&tables.pool, run_id(2), &lift(), shown).await.unwrap_err();
    assert!(refused.to_string().contains("the preview showed 7 and 0"), "{refused}");
    check(&outcome(&tables).await?, &["balanced", "held"], &[]);
    tables.drop().await
}

#[tokio::test]
async fn what_a_decision_would_do_is_listed_by_domain_and_name() -> Result<()> {
    let tables = tables(&[full(&[&A, &B]), full(&[&A[..2], &B[..5]])]).await?;
    let lift = Change::Approve([domain(0)].into());
    let affected = manual_decisions::preview(&tables.pool, run_id(2), &lift).await?;
    let ids: Vec<&str> = affected.iter().map(|it| it.id.as_str()).collect();
    assert_eq!(ids, A[2..].iter().map(|asset| id(*asset)).collect::<Vec<_>>());
    assert!(affected.iter().all(|it| it.is_retired() && it.domain == domain(0) && it.name.is_some()));
    check(&outcome(&tables).await?, &["balanced"; 2], &[(&B[5..], 2)]);
    tables.drop().await
}

#[tokio::test]
async fn a_published_decision_is_followed_and_not_judged_again() -> Result<()> {
    let runs = [scoped(2, &[&C]), scoped(2, &[&C[..2]])];
    let live = tables(&runs).await?;
    let mut decisions = outbox::unpublished(&live.pool).await?;
    live.drop().await?;
    // An earlier version judged runs over complete domains in this way.
    decisions[1] =
        RunDecision { judged: Judged::plain(Judgement::Ended), scope: Vec::new(), ..decisions[1].clone() };
    let tables = Tables::make("history").await?;
    outbox::merge(&tables.pool, &decisions).await?;
    History::within(&Log::of(&runs), &tables, LIMITS).drain_from(0, 1000).await?;
    check(&outcome(&tables).await?, &["balanced", "ended"], &[]);
    tables.drop().await
}

#[tokio::test]
async fn a_decision_in_another_installation_and_its_undo_are_followed() -> Result<()> {
    let held = Run { missed: Missed::Unknown, ..full(&[&A, &B[..5]]) };
    let tables = tables(&[full(&[&A, &B]), held]).await?;
    let own = outbox::unpublished(&tables.pool).await?;
    for decision in &own {
        outbox::mark_published(&tables.pool, decision).await?;
    }
    let when = OffsetDateTime::UNIX_EPOCH;
    let decided = Some(Decided { what: Choice::Released, domains: BTreeSet::new(), when });
    let released = RunDecision { decided, ..own[1].clone() };
    let undone = RunDecision { revision: 1, ..own[1].clone() };
    outbox::merge(&tables.pool, std::slice::from_ref(&released)).await?;
    check(&outcome(&tables).await?, &["balanced", "released"], &[(&B[5..], 2)]);
    outbox::merge(&tables.pool, std::slice::from_ref(&undone)).await?;
    check(&outcome(&tables).await?, &["balanced", "held"], &[]);
    assert_eq!(outbox::unpublished(&tables.pool).await?, []);
    // The topic loses its newest record: the missing decision is published again, and nothing changes here.
    outbox::merge(&tables.pool, &[released]).await?;
    check(&outcome(&tables).await?, &["balanced", "held"], &[]);
    assert_eq!(outbox::unpublished(&tables.pool).await?, [undone]);
    tables.drop().await
}
