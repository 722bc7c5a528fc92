//! After compaction has removed superseded records, a new database still equals the old one.

use std::time::Duration;

use anyhow::{Context, Result};
use catalog_tests::history::{History, Taken};
use catalog_tests::world::{CATALOG, World};
use serde_json::Value;
use sqlx::AssertSqlSafe;
use tokio::time::{interval, timeout};

const RUNS: u32 = 30;
const DOMAINS: [(&str, usize); 2] = [("a.example", 60), ("b.example", 60)];
/// Runs that miss so many assets that they are on hold, and the decisions about them.
const GAPS: [(u32, Option<&str>); 3] = [(8, None), (15, Some("release")), (22, Some("reject"))];
const PART: u32 = 12;

/// Renames an asset, removes one, and returns one that was removed long ago.
fn churn(history: &History, taken: &mut Vec<Taken>, run: u32) -> Result<()> {
    taken.extend(history.take("a.example", 1)?);
    if run.is_multiple_of(3) {
        history.catalog.put(taken.remove(0).object)?;
    }
    let objects = history.catalog.objects();
    let chosen = &objects[(run as usize * 7) % objects.len()];
    let mut renamed: Value = serde_json::from_slice(chosen)?;
    renamed["resource"]["name"] = format!("Renamed in {run}").into();
    history.catalog.put(renamed.to_string())?;
    Ok(())
}

/// Thirty runs with a few changes each. Some are on hold and are decided.
async fn live_through(history: &History) -> Result<()> {
    let mut taken = Vec::new();
    for run in 1..=RUNS {
        churn(history, &mut taken, run)?;
        let gap = GAPS.iter().find(|(held, _)| *held == run);
        let missing = if gap.is_some() { history.take("b.example", 27)? } else { Vec::new() };
        history.crawl(if run == PART { &["--limit", "10"] } else { &[] }).await?;
        until_judged(history, run).await?;
        if let Some((_, Some(decision))) = gap {
            history.decide(decision, &run.to_string()).await?;
        }
        missing.into_iter().try_for_each(|asset| history.catalog.put(asset.object))?;
    }
    Ok(())
}

async fn until_judged(history: &History, run: u32) -> Result<()> {
    let mut again = interval(Duration::from_millis(20));
    let judged = async {
        while !history.states().await?.iter().any(|(of, state)| *of == i64::from(run) && state != "open") {
            again.tick().await;
        }
        anyhow::Ok(())
    };
    timeout(Duration::from_secs(60), judged).await.with_context(|| format!("run {run} was never judged"))?
}

async fn states(world: &World, schema: &str) -> Result<Vec<(i64, String)>> {
    let states = format!("select run, state from {schema}.runs order by run");
    Ok(sqlx::query_as(AssertSqlSafe(states)).fetch_all(world.pool()).await?)
}

#[tokio::test]
async fn a_compacted_topic_gives_a_new_database_the_same_tables() -> Result<()> {
    let history = History::new(&DOMAINS).await?;
    let world = &history.world;
    world.make_compacting_topics().await?;
    world.migrate().await?;
    // Quiet, because nothing reads its log while it runs.
    let mut member = world.member()?.env("RUST_LOG", "warn").start()?;
    member.reaches(live_through(&history)).await??;
    member.terminate()?;
    assert_eq!(member.ended().await?.code, Some(0));
    let lived = states(world, "catalog").await?;
    let of = |run: u32| lived[run as usize - 1].1.as_str();
    assert_eq!([8, 12, 15, 22, RUNS].map(of), ["superseded", "ended", "released", "rejected", "balanced"]);
    let retired: i64 = sqlx::query_scalar("select count(distinct retired_at) from socrata_datasets")
        .fetch_one(world.pool())
        .await?;
    assert!(retired > 10, "{retired}");

    world.until_compacted().await?;
    world.verify_topics()?.succeed().await?;
    world.rebuild()?.args(["--migrate", "--schema", "fresh"]).succeed().await?;
    assert_eq!(world.contents("fresh", &CATALOG).await?, world.contents("catalog", &CATALOG).await?);
    assert_eq!(states(world, "fresh").await?, lived);
    for schema in ["catalog", "fresh"] {
        world.ask(&["verify", "--schema", schema])?.succeed().await?;
    }
    Ok(())
}
