//! `runs show` lists what a run on hold or a shield keeps. A decision shows its effect before it is made.

use anyhow::Result;
use catalog_tests::history::{History, all_at};
use catalog_tests::world::Ended;

/// 25 of 100 assets vanish, which is too large a share of the region, so run 2 is on hold.
async fn held() -> Result<(History, Vec<(String, i64)>)> {
    let history = History::new(&[("a.example", 60), ("b.example", 40)]).await?;
    history.run(&[]).await?;
    let mut gone = history.take("a.example", 15)?;
    gone.extend(history.take("b.example", 10)?);
    history.run(&[]).await?;
    let mut gone = all_at(&gone, 2);
    gone.sort();
    Ok((history, gone))
}

async fn runs(history: &History, args: &[&str]) -> Result<Ended> {
    let args = [&["runs"], args].concat();
    let program = history.world.ask(&args)?.env("KAFKA_BROKERS", &std::env::var("KAFKA_BROKERS")?);
    program.env("CATALOG_TOPIC_PREFIX", &history.world.topic("")).run().await
}

#[tokio::test]
async fn a_run_on_hold_is_shown_with_what_it_would_retire_and_how_to_decide() -> Result<()> {
    let (history, gone) = held().await?;
    let shown = runs(&history, &["show", "2"]).await?;
    assert_eq!(shown.code, Some(0), "{}", shown.stderr);
    for line in [
        "Run 2 of us is held.",
        "Approving the run would retire 15 of a.example:",
        "Approving the run would retire 10 of b.example:",
        "runs approve --region us --run 2",
    ] {
        assert!(shown.stdout.contains(line), "{line} is not in\n{}", shown.stdout);
    }
    let listed = runs(&history, &["show", "2", "--region", "us", "--json"]).await?.summary()?;
    let mut ids: Vec<(String, i64)> = Vec::new();
    for domain in listed["would_retire"].as_array().unwrap() {
        for dataset in domain["datasets"].as_array().unwrap() {
            assert!(shown.stdout.contains(dataset["id"].as_str().unwrap()));
            ids.push((dataset["id"].as_str().unwrap().to_owned(), 2));
        }
    }
    ids.sort();
    assert_eq!(ids, gone);
    assert_eq!(runs(&history, &["show", "9"]).await?.code, Some(2));
    assert_eq!(history.retired().await?, []);
    Ok(())
}

#[tokio::test]
async fn without_a_terminal_a_decision_shows_its_effect_and_needs_yes() -> Result<()> {
    let (history, gone) = held().await?;
    let ended = runs(&history, &["release", "--region", "us", "--run", "2"]).await?;
    assert_eq!(ended.code, Some(2));
    for expected in ["Approving run 2 of us would retire 25 datasets", "15  a.example", "add --yes"] {
        assert!(ended.stderr.contains(expected), "{expected} is not in\n{}", ended.stderr);
    }
    assert_eq!(history.retired().await?, []);
    assert_eq!(history.decide("release", "2").await?["retired"], 25);
    assert_eq!(history.retired().await?, gone);
    Ok(())
}

#[tokio::test]
async fn an_undone_approval_brings_the_datasets_back_and_can_be_repeated() -> Result<()> {
    let (history, gone) = held().await?;
    history.decide("release", "2").await?;
    let undone = history.decide("undo", "2").await?;
    assert_eq!((&undone["state"], &undone["returned"]), (&"held".into(), &25.into()));
    assert_eq!(history.retired().await?, []);
    let again = history.world.runs(["undo", "--region", "us", "--run", "2", "--yes"])?.run().await?;
    assert_eq!(again.code, Some(2));
    assert!(again.stderr.contains("nothing to undo"), "{}", again.stderr);
    assert_eq!(history.decide("release", "2").await?["retired"], 25);
    assert_eq!(history.retired().await?, gone);
    // Another copy of the tables applies the last published decision.
    history.world.consume_again()?.args(["--until-caught-up"]).succeed().await?;
    let retired: i64 =
        sqlx::query_scalar("select count(*) from again.socrata_datasets where retired_at is not null")
            .fetch_one(history.world.pool())
            .await?;
    assert_eq!(retired, 25);
    Ok(())
}

#[tokio::test]
async fn lifting_a_shield_retires_its_domain_and_can_be_undone() -> Result<()> {
    let history = History::new(&[("a.example", 100), ("b.example", 20)]).await?;
    history.run(&[]).await?;
    history.catalog.declare("b.example", 5);
    let gone = history.take("b.example", 15)?;
    history.run(&[]).await?;
    assert_eq!(history.states().await?, [(1, "balanced".to_owned()), (2, "balanced".to_owned())]);
    let shown = runs(&history, &["show", "2"]).await?.stdout;
    assert!(shown.contains("b.example: more than half would be retired: 15 of 20"), "{shown}");
    assert!(shown.contains("Lifting the shield would retire 15 of b.example:"), "{shown}");
    assert!(shown.contains("--domain b.example"), "{shown}");
    assert_eq!(history.retired().await?, []);
    let lift = ["release", "--region", "us", "--run", "2", "--domain", "B.example", "--yes"];
    let lifted = history.world.runs(lift)?.succeed().await?.summary()?;
    assert_eq!((&lifted["state"], &lifted["retired"]), (&"balanced".into(), &15.into()));
    assert_eq!(history.retired().await?.len(), gone.len());
    history.decide("undo", "2").await?;
    assert_eq!(history.retired().await?, []);
    let wrong = ["release", "--region", "us", "--run", "2", "--domain", "a.example", "--yes"];
    let refused = history.world.runs(wrong)?.run().await?;
    assert!(refused.code == Some(2) && refused.stderr.contains("does not shield a.example"));
    Ok(())
}
