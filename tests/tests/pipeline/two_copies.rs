//! Two copies of the tables need two groups. In a shared group a running copy keeps all partitions, and a copy without
//! consumers loses the group to the other.

use anyhow::{Context, Result};
use catalog_shared::events;
use catalog_tests::mock_server::{MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::{CATALOG, Program, World};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

const ASSETS: u64 = 300;

async fn crawled() -> Result<(World, MockServer)> {
    let world = World::new().await?;
    let api = MockServer::start(Options::new(Synthetic::new(ASSETS, 4))).await?;
    world.crawl(&api)?.succeed().await?;
    Ok((world, api))
}

/// Another copy in the same group, which ends when it has caught up.
fn copy(world: &World, schema: &str) -> Result<Program> {
    Ok(world.short_session()?.args(["--until-caught-up", "--schema", schema]))
}

/// How many datasets and positions a schema has.
async fn applied(world: &World, schema: &'static str) -> Result<(i64, i64)> {
    let query = match schema {
        "catalog" => {
            "select (select count(*) from catalog.socrata_datasets), (select count(*) from catalog.positions)"
        }
        _ => {
            "select (select count(*) from staging.socrata_datasets), (select count(*) from staging.positions)"
        }
    };
    Ok(sqlx::query_as(query).fetch_one(world.pool()).await?)
}

#[tokio::test]
async fn a_second_copy_in_the_group_of_a_running_one_applies_nothing_and_exits() -> Result<()> {
    let (world, api) = crawled().await?;
    world.migrate().await?;
    let member = world.short_session()?.start()?;
    world.until("select exists (select from runs where run = 1 and state = 'balanced')").await?;

    let second = copy(&world, "staging")?.run().await?;
    assert_eq!(second.code, Some(3), "{}", second.stderr);
    for reported in ["the schema catalog on ", "This copy is the schema staging", "--group NAME"] {
        assert!(second.stderr.contains(reported), "{reported}: {}", second.stderr);
    }
    assert_eq!(applied(&world, "staging").await?, (0, 0));

    // The first copy has all partitions again.
    world.crawl(&api)?.succeed().await?;
    world.until("select exists (select from runs where run = 2 and state = 'balanced')").await?;
    member.terminate()?;
    assert_eq!(member.ended().await?.code, Some(0));
    Ok(())
}

#[tokio::test]
async fn two_copies_started_at_once_in_one_group_are_each_complete_or_empty() -> Result<()> {
    let (world, _double) = crawled().await?;
    let (live, staging) = (copy(&world, "catalog")?, copy(&world, "staging")?);
    let (live, staging) = tokio::try_join!(live.run(), staging.run())?;
    let (live, staging) = ((live, "catalog"), (staging, "staging"));
    let ((winner, won), (loser, lost)) =
        if live.0.code == Some(0) { (live, staging) } else { (staging, live) };
    assert_eq!(winner.code, Some(0), "{}\n\n{}", winner.stderr, loser.stderr);
    assert_eq!(applied(&world, won).await?.0, i64::try_from(ASSETS)?);
    // The other copy is refused, unless one of them began after the first had finished and left the group.
    let is_claimed = [&winner, &loser].iter().any(|copy| !copy.logged(events::GROUP_CLAIMED).is_empty());
    let expected = match loser.code {
        Some(3) => 0,
        Some(0) if is_claimed => i64::try_from(ASSETS)?,
        code => anyhow::bail!("{code:?}: {}\n\n{}", winner.stderr, loser.stderr),
    };
    assert_eq!(applied(&world, lost).await?.0, expected);
    Ok(())
}

#[tokio::test]
async fn the_group_of_a_copy_without_consumers_is_claimed_with_a_warning() -> Result<()> {
    let (world, _double) = crawled().await?;
    let mut lost = world.short_session()?.args(["--batch-size", "50"]).start()?;
    lost.logged(events::BATCH_APPLIED).await?;
    // The group lists the killed member until its session ends.
    lost.kill().await?;
    let new = copy(&world, "staging")?.succeed().await?;
    assert!(!new.logged(events::GROUP_CLAIMED).is_empty(), "{}", new.stderr);
    assert_eq!(applied(&world, "staging").await?.0, i64::try_from(ASSETS)?);

    // Its own offsets cause no warning.
    let again = copy(&world, "staging")?.succeed().await?;
    assert!(again.logged(events::GROUP_CLAIMED).is_empty(), "{}", again.stderr);
    Ok(())
}

/// Commits offset 1 of a partition with this metadata, as consumers of another version did.
async fn commit(world: &World, note: &'static str) -> Result<()> {
    let (mut config, topic) = (world.kafka(), world.topic("datasets"));
    config.set("group.id", world.group());
    let commit = move || {
        let mut list = TopicPartitionList::new();
        let mut element = list.add_partition(&topic, 0);
        element.set_offset(Offset::Offset(1))?;
        element.set_metadata(note);
        config.create::<BaseConsumer>()?.commit(&list, CommitMode::Sync)
    };
    tokio::task::spawn_blocking(commit).await?.context("can't commit")
}

#[tokio::test]
async fn offsets_of_earlier_versions_are_ignored_and_stored_positions_decide() -> Result<()> {
    let (world, _double) = crawled().await?;
    world.consume()?.succeed().await?;
    let tables = world.contents("catalog", &CATALOG).await?;
    // As an upgraded consumer finds them.
    for unbound in [
        "update installation set topic_prefix = null, cluster_id = null",
        "update positions set topic_id = null",
    ] {
        sqlx::query(unbound).execute(world.pool()).await?;
    }
    for note in ["catalog-stream", "catalog-stream/0123456789abcdef/-/gone"] {
        commit(&world, note).await?;
        let ended = world.consume()?.succeed().await?;
        assert!(ended.logged(events::OFFSET_RESET).is_empty(), "{}", ended.stderr);
    }
    assert_eq!(world.contents("catalog", &CATALOG).await?, tables);

    // An offset without metadata is an operator's reset.
    commit(&world, "").await?;
    let ended = world.consume()?.succeed().await?;
    assert!(!ended.logged(events::OFFSET_RESET).is_empty(), "{}", ended.stderr);

    let bound = "select cluster_id is not null and topic_prefix is not null
        and (select bool_and(topic_id is not null) from positions) from installation";
    assert!(sqlx::query_scalar::<_, bool>(bound).fetch_one(world.pool()).await?);
    Ok(())
}
