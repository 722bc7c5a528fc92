//! A person approves or declines runs on hold, in any order. A later balanced run supersedes them.

use anyhow::Result;
use catalog_tests::history::{History, Taken, all_at};

const HELD: [&str; 2] = ["--max-retire-share", "0"];

/// Three assets vanish in run 2 and two more in run 3. Both runs are on hold.
async fn two_held() -> Result<(History, Vec<Taken>, Vec<Taken>)> {
    let history = History::new(&[("a.example", 60)]).await?;
    history.run(&[]).await?;
    let mut gone = Vec::new();
    for assets in [3, 2] {
        gone.push(history.take("a.example", assets)?);
        history.crawl(&[]).await?;
        history.world.consume()?.args(HELD).succeed().await?;
    }
    let later = gone.pop().unwrap_or_default();
    Ok((history, gone.pop().unwrap_or_default(), later))
}

fn sorted(mut expected: Vec<(String, i64)>) -> Vec<(String, i64)> {
    expected.sort();
    expected
}

#[tokio::test]
async fn approvals_in_any_order_give_the_same_rows() -> Result<()> {
    for order in [["2", "3"], ["3", "2"]] {
        let (history, first, second) = two_held().await?;
        assert_eq!(history.retired().await?, []);
        for run in order {
            let answer = history.decide("release", run).await?;
            assert_eq!((&answer["state"], &answer["published"]), (&"released".into(), &true.into()));
        }
        let expected = sorted([all_at(&first, 2), all_at(&second, 3)].concat());
        assert_eq!(history.retired().await?, expected, "{order:?}");
        let retired: i64 = sqlx::query_scalar("select sum(retired)::bigint from runs")
            .fetch_one(history.world.pool())
            .await?;
        assert_eq!(retired, 5, "{order:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_declined_run_retires_nothing_and_its_decision_is_final() -> Result<()> {
    let (history, first, second) = two_held().await?;
    assert_eq!(history.decide("reject", "2").await?["retired"], 0);
    assert_eq!(history.retired().await?, []);
    assert_eq!(history.decide("release", "3").await?["retired"], 5);
    assert_eq!(history.retired().await?, sorted([all_at(&first, 3), all_at(&second, 3)].concat()));
    for (decision, run, why) in [
        (
            "release",
            "2",
            "run 2 of us is rejected: only a run on hold (state held) can be approved or declined",
        ),
        ("reject", "3", "run 3 of us is released: only"),
        ("release", "1", "run 1 of us is balanced: only"),
        ("reject", "9", "there is no run 9 of us"),
    ] {
        let ended = history.world.runs([decision, "--region", "us", "--run", run])?.run().await?;
        assert_eq!(ended.code, Some(2), "{}", ended.stderr);
        assert!(ended.stderr.contains(why), "{}", ended.stderr);
    }
    Ok(())
}

#[tokio::test]
async fn a_later_balanced_run_supersedes_runs_on_hold() -> Result<()> {
    let (history, first, second) = two_held().await?;
    history.run(&[]).await?;
    let states = ["balanced", "superseded", "superseded", "balanced"];
    let listed = history.world.runs(["list", "--region", "us"])?.succeed().await?.summary()?;
    let reported: Vec<_> =
        listed.as_array().unwrap().iter().rev().map(|run| run["state"].as_str().unwrap()).collect();
    assert_eq!(reported, states);
    assert_eq!(
        listed[1]["reason"].as_str().unwrap().split_once("; it was held: ").unwrap().0,
        "run 4 was accepted"
    );
    assert_eq!(history.retired().await?, sorted([all_at(&first, 4), all_at(&second, 4)].concat()));
    let listed = history.world.runs(["list", "--region", "eu"])?.succeed().await?.summary()?;
    assert_eq!(listed, serde_json::json!([]));
    Ok(())
}
