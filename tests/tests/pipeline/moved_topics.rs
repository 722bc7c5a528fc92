//! Moving the tables to topics of another prefix or to a recreated topic, and the cases in which a move is refused.

use anyhow::Result;
use catalog_shared::events;
use catalog_tests::history::History;
use catalog_tests::world::{CATALOG, Ended, World};
use sqlx::Executor;

/// Two runs. The second retires 3 assets.
async fn two_runs() -> Result<History> {
    let history = History::new(&[("a.example", 60)]).await?;
    history.run(&[]).await?;
    history.take("a.example", 3)?;
    history.run(&[]).await?;
    Ok(history)
}

/// Crawls and applies run 3. Asserts that the 3 assets stay retired, and that a rebuild changes nothing.
async fn assert_run_3_continues(history: &History) -> Result<()> {
    history.run(&[]).await?;
    assert_rebuild_finds_nothing(history).await
}

async fn assert_rebuild_finds_nothing(history: &History) -> Result<()> {
    let balanced = |run| (run, "balanced".to_owned());
    assert_eq!(history.states().await?, [balanced(1), balanced(2), balanced(3)]);
    assert!(history.retired().await?.iter().map(|(_, run)| *run).eq([2, 2, 2]));
    assert!(history.world.verify_topics()?.succeed().await?.differences()?.is_empty());
    assert!(history.world.rebuild()?.succeed().await?.differences()?.is_empty());
    assert!(history.retired().await?.iter().map(|(_, run)| *run).eq([2, 2, 2]));
    history.world.ask(&["verify"])?.succeed().await?;
    Ok(())
}

#[tokio::test]
async fn a_deleted_topic_is_created_and_the_next_run_continues() -> Result<()> {
    let history = two_runs().await?;
    history.world.delete_topics(&["datasets"]).await?;
    history.world.move_tables(&["--topic", "datasets", "--partitions", "2"])?.succeed().await?;
    assert_run_3_continues(&history).await
}

#[tokio::test]
async fn a_topic_recreated_by_a_crawl_continues_with_that_run() -> Result<()> {
    let history = two_runs().await?;
    history.world.delete_topics(&["domains"]).await?;
    history.crawl(&[]).await?;
    let name = history.world.topic("domains");
    history.world.move_tables(&["--topic", &name])?.succeed().await?;
    history.world.consume()?.succeed().await?;
    assert_rebuild_finds_nothing(&history).await
}

#[tokio::test]
async fn lost_cursors_and_decisions_are_written_again() -> Result<()> {
    let history = two_runs().await?;
    for topic in ["cursors", "verdicts"] {
        history.world.delete_topics(&[topic]).await?;
        history.world.move_tables(&["--topic", topic])?.succeed().await?;
    }
    assert_eq!(history.world.records("verdicts").await?.len(), 2);
    assert_run_3_continues(&history).await
}

#[tokio::test]
async fn an_interrupted_move_can_be_repeated_after_a_crawl() -> Result<()> {
    let mut history = two_runs().await?;
    let prefix = format!("{}new.", history.world.prefix());
    let break_off = "create function break_off() returns trigger language plpgsql as
            $$ begin raise exception 'broken off'; end $$;
         create constraint trigger break_off after insert on run_floors
            deferrable initially deferred for each row execute function break_off();";
    history.world.pool().execute(break_off).await?;
    let rows = history.world.contents("catalog", &[&CATALOG[..], &["positions", "runs"]].concat()).await?;
    history.world.use_prefix(&prefix);
    let broken = history.world.move_tables(&[])?.run().await?;
    assert!(broken.code == Some(1) && broken.stderr.contains("broken off"), "{}", broken.stderr);
    let kept = history.world.contents("catalog", &[&CATALOG[..], &["positions", "runs"]].concat()).await?;
    assert_eq!(kept, rows);

    history.crawl(&[]).await?;
    history.world.pool().execute("drop trigger break_off on run_floors").await?;
    history.world.move_tables(&[])?.succeed().await?;
    history.world.consume()?.succeed().await?;
    assert_rebuild_finds_nothing(&history).await
}

#[tokio::test]
async fn earlier_runs_of_the_new_topics_are_left_out() -> Result<()> {
    let mut history = two_runs().await?;
    // Runs of another catalog, with numbers that these tables contain.
    let other = History::new(&[("x.example", 30)]).await?;
    other.crawl(&[]).await?;
    history.world.use_prefix(other.world.prefix());
    history.world.move_tables(&[])?.succeed().await?;
    history.world.consume()?.succeed().await?;
    assert_run_3_continues(&history).await?;
    let foreign = "select exists (select from socrata_datasets where domain = 'x.example')";
    assert!(!sqlx::query_scalar::<_, bool>(foreign).fetch_one(history.world.pool()).await?);
    Ok(())
}

#[tokio::test]
async fn a_consumer_of_the_old_topics_stops() -> Result<()> {
    let mut history = two_runs().await?;
    let mut old = history.world.member()?.start()?;
    old.logged(events::PARTITION_ASSIGNED).await?;
    let (from, to) = (history.world.prefix().to_owned(), format!("{}new.", history.world.prefix()));
    history.world.use_prefix(&to);
    let others = ["--group", "nobody"];
    history.world.move_tables(&others)?.succeed().await?;
    let rows = history.world.contents("catalog", &CATALOG).await?;

    history.world.use_prefix(&from);
    history.crawl(&[]).await?;
    let ended = old.ended().await?;
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert_eq!(history.world.contents("catalog", &CATALOG).await?, rows);
    Ok(())
}

/// Asserts that the move is refused with this reason and changes nothing.
async fn refused(world: &World, flags: &[&str], reason: &str) -> Result<Ended> {
    let tables = [&CATALOG[..], &["positions", "runs", "run_floors", "installation", "verdicts"]].concat();
    let before = world.contents("catalog", &tables).await?;
    let ended = world.move_tables(flags)?.run().await?;
    assert!(ended.code == Some(3) && ended.stderr.contains(reason), "{:?} {}", ended.code, ended.stderr);
    assert_eq!(world.contents("catalog", &tables).await?, before);
    Ok(ended)
}

#[tokio::test]
async fn empty_tables_are_not_moved() -> Result<()> {
    let world = World::new().await?;
    world.migrate().await?;
    refused(&world, &[], "there is nothing to move").await?;
    assert!(world.topics().await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn tables_are_not_moved_to_topics_of_later_runs() -> Result<()> {
    let history = two_runs().await?;
    let other = History::new(&[("x.example", 30)]).await?;
    other.crawl(&["--first-run", "7"]).await?;
    let before = other.world.all_records().await?.len();
    let flags = ["--topic-prefix", other.world.prefix()];
    refused(&history.world, &flags, "contain run 7 of us").await?;
    // Nor if the cursor was lost.
    other.world.delete_topics(&["cursors"]).await?;
    refused(&history.world, &flags, "contain run 7 of us").await?;
    let lost = 2;
    assert!(before - other.world.all_records().await?.len() >= lost);
    Ok(())
}

#[tokio::test]
async fn tables_are_not_moved_under_a_running_consumer() -> Result<()> {
    let history = two_runs().await?;
    let mut member = history.world.member()?.start()?;
    member.logged(events::PARTITION_ASSIGNED).await?;
    let prefix = format!("{}new.", history.world.prefix());
    refused(&history.world, &["--topic-prefix", &prefix], "consumers of the group").await?;
    Ok(())
}

#[tokio::test]
async fn tables_are_not_moved_to_their_own_topics() -> Result<()> {
    let history = two_runs().await?;
    history.crawl(&[]).await?;
    refused(&history.world, &[], "already, so there is nothing to move").await?;
    refused(&history.world, &["--topic", "hosts"], "is the topic that the tables").await?;
    history.world.consume()?.succeed().await?;
    assert_rebuild_finds_nothing(&history).await
}

#[tokio::test]
async fn an_unknown_topic_is_a_usage_error() -> Result<()> {
    let world = World::new().await?;
    let ended = world.move_tables(&["--topic", "rumours"])?.run().await?;
    assert!(ended.code == Some(2) && ended.stderr.contains("--topic is one of"), "{}", ended.stderr);
    Ok(())
}
