//! Moving to another Kafka cluster with the commands of the documentation page.

use anyhow::{Context, Result};
use catalog_tests::docs::{Page, blocks};
use catalog_tests::history::History;
use catalog_tests::world::{Broker, CATALOG, Sent};
use serde_json::Value;

/// The commands of the page's first part: those before the move, and those from the move on.
fn commands() -> Result<(Vec<String>, Vec<String>)> {
    let page = Page::read("docs/how-to/move-to-another-kafka.md")?;
    let (part, _) = page.text.split_once("\n## Continue after").context("the page has a second part")?;
    let blocks = blocks(part)?;
    let lines: Vec<&str> = blocks.iter().flat_map(|block| block.text.lines()).collect();
    let export = lines.iter().position(|line| line.starts_with("export KAFKA_BROKERS="));
    let export = export.context("the page names the new cluster")?;
    let own = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect();
    Ok((own(&lines[..export]), own(&lines[export + 1..])))
}

/// Three runs. The second retires 3 assets, the third 30 because a person lifts its shield. 30 records per cluster
/// are unreadable.
async fn three_runs() -> Result<History> {
    let history = History::new(&[("a.example", 60), ("b.example", 40)]).await?;
    history.run(&[]).await?;
    history.take("a.example", 3)?;
    history.run(&[]).await?;
    history.take("b.example", 30)?;
    history.run(&[]).await?;
    let lift = ["release", "--region", "us", "--run", "3", "--domain", "b.example", "--yes"];
    history.world.runs(lift)?.succeed().await?;
    send_unreadable(&history).await?;
    Ok(history)
}

async fn send_unreadable(history: &History) -> Result<()> {
    for _ in 0..30 {
        history
            .world
            .send("hosts", Sent { key: Some(b"us/x"), value: Some(b"?"), ..Sent::default() })
            .await?;
    }
    Ok(())
}

async fn run_all(history: &History, commands: &[String]) -> Result<()> {
    for command in commands {
        history.world.documented(command, &history.api.url())?.succeed().await?;
    }
    Ok(())
}

#[tokio::test]
async fn the_documented_commands_move_the_tables_to_another_cluster() -> Result<()> {
    let mut history = three_runs().await?;
    let (before, after) = commands()?;
    run_all(&history, &before).await?;
    let rows = history.world.contents("catalog", &CATALOG).await?;
    let retired = history.retired().await?;
    assert_eq!(retired.len(), 33);

    let broker = Broker::start().await?;
    history.world.use_brokers(broker.address()?);
    run_all(&history, &after[..1]).await?;
    assert_eq!(history.world.contents("catalog", &CATALOG).await?, rows);
    let verdicts = history.world.records("verdicts").await?;
    let third = verdicts.iter().find(|record| record.key == "us/3").context("run 3 is judged there too")?;
    let third: Value = serde_json::from_slice(&third.value)?;
    assert_eq!((verdicts.len(), &third["decided"]["domains"][0]), (3, &"b.example".into()));

    // The first crawl there retires what vanished meanwhile. Dead letters have the same offsets as in the old cluster.
    let vanished = history.take("a.example", 2)?;
    run_all(&history, &after[1..]).await?;
    let expected = ["balanced", "balanced", "balanced", "balanced"];
    assert_eq!(history.states().await?, (1..).zip(expected.map(str::to_owned)).collect::<Vec<_>>());
    let now = history.retired().await?;
    assert!(retired.iter().all(|asset| now.contains(asset)), "{now:?}");
    assert!(vanished.iter().all(|asset| now.contains(&(asset.id.clone(), 4))), "{now:?}");
    send_unreadable(&history).await?;
    history.world.consume()?.succeed().await?;
    let letters = "select count(*), count(*) filter (where cluster = ''), count(distinct (topic, partition, \"offset\")) < 60
         from dead_letters";
    assert_eq!(
        sqlx::query_as::<_, (i64, i64, bool)>(letters).fetch_one(history.world.pool()).await?,
        (60, 30, true)
    );

    let rows = history.world.contents("catalog", &CATALOG).await?;
    assert!(history.world.rebuild()?.succeed().await?.differences()?.is_empty());
    assert_eq!(history.world.contents("catalog", &CATALOG).await?, rows);
    history.world.ask(&["verify"])?.succeed().await?;

    // Nothing is left to move.
    let again = history.world.move_tables(&[])?.run().await?;
    assert!(again.code == Some(3) && again.stderr.contains("nothing to move"), "{}", again.stderr);
    assert_eq!(history.world.contents("catalog", &CATALOG).await?, rows);
    Ok(())
}
