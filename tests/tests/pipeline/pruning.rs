//! `dead-letters show` and `dead-letters prune`.

use anyhow::{Result, ensure};
use catalog_tests::mock_server::MockServer;
use catalog_tests::world::{Sent, World, record_headers};

/// A crawl with one dead letter of its producer, two bad assets of a run that is still open, and one bad host.
async fn crawled() -> Result<(World, MockServer)> {
    let (world, api) = World::crawled_with_dead_letter().await?;
    let value = Some(r#"{"odd":"välue"}"#.as_bytes());
    for id in ["aaaa-aaaa", "bbbb-bbbb"] {
        let key = format!("us/a.example/{id}");
        let sent =
            Sent { key: Some(key.as_bytes()), value, headers: &record_headers("datasets"), partition: 0 };
        world.send("datasets", sent).await?;
    }
    let sent = Sent { key: Some(b"us/a.example"), value, headers: &record_headers("hosts"), partition: 0 };
    world.send("hosts", sent).await?;
    world.consume()?.succeed().await?;
    Ok((world, api))
}

async fn id_of(world: &World, key: &str) -> Result<String> {
    let id: i64 = sqlx::query_scalar("select id from dead_letters where convert_from(key, 'UTF8') like $1")
        .bind(key)
        .fetch_one(world.pool())
        .await?;
    Ok(id.to_string())
}

async fn prune(world: &World, older_than: &str) -> Result<serde_json::Value> {
    world.ask(&["dead-letters", "prune", "--older-than", older_than, "--json"])?.succeed().await?.summary()
}

#[tokio::test]
async fn a_dead_letter_is_shown_with_value_and_reason_and_loses_its_value_once_resolved() -> Result<()> {
    let (world, _double) = crawled().await?;
    let id = id_of(&world, "us/a.example").await?;
    let reason: String = sqlx::query_scalar("select reason from dead_letters where id = $1::text::bigint")
        .bind(&id)
        .fetch_one(world.pool())
        .await?;
    let shown = world.ask(&["dead-letters", "show", &id])?.succeed().await?.stdout;
    for part in [r#"{"odd":"välue"}"#, reason.as_str(), "us/a.example", "header  run: 2"] {
        ensure!(shown.contains(part), "{part} is not in {shown}");
    }
    let json = world.ask(&["dead-letters", "show", &id, "--json"])?.succeed().await?.summary()?;
    assert_eq!((&json["value"], &json["reason"]), (&r#"{"odd":"välue"}"#.into(), &reason.as_str().into()));
    assert_eq!((&json["state"], &json["refused"]), (&"open".into(), &false.into()));

    world.ask(&["dead-letters", "discard", "--id", &id])?.succeed().await?;
    let values: Vec<Option<Vec<u8>>> =
        sqlx::query_scalar("select value from dead_letters where state <> 'open'")
            .fetch_all(world.pool())
            .await?;
    assert_eq!(values, [None]);
    let shown = world.ask(&["dead-letters", "show", &id])?.succeed().await?.stdout;
    ensure!(shown.contains("not kept after the dead letter was resolved"), "{shown}");
    assert_eq!(world.ask(&["dead-letters", "show", "999999"])?.run().await?.code, Some(2));
    Ok(())
}

#[tokio::test]
async fn prune_deletes_dead_letters_resolved_long_ago_and_never_open_ones() -> Result<()> {
    let (world, _double) = crawled().await?;
    let (host, asset) = (id_of(&world, "us/a.example").await?, id_of(&world, "%aaaa-aaaa").await?);
    let age = "update dead_letters set seen_at = seen_at - interval '40 days', settled_at = settled_at - interval '31 days'";
    // All are old but open, so nothing is deleted.
    sqlx::query(age).execute(world.pool()).await?;
    assert_eq!(prune(&world, "0s").await?["pruned"], 0);

    world.ask(&["dead-letters", "discard", "--id", &host, "--id", &asset])?.succeed().await?;
    assert_eq!(prune(&world, "12h").await?["pruned"], 0);
    sqlx::query(age).execute(world.pool()).await?;
    assert_eq!(prune(&world, "32d").await?["pruned"], 0);
    // The asset counts as seen when its run is judged, and that run is still open.
    let pruned = prune(&world, "30d").await?;
    assert_eq!((&pruned["pruned"], &pruned["needed_by_open_runs"]), (&1.into(), &1.into()));
    sqlx::query("update runs set state = 'abandoned' where run = 2").execute(world.pool()).await?;
    let text = world.ask(&["dead-letters", "prune", "--older-than", "30d"])?.succeed().await?.stdout;
    assert_eq!(text.trim(), "Deleted 1 dead letter.");

    let left: Vec<String> =
        sqlx::query_scalar("select state from dead_letters").fetch_all(world.pool()).await?;
    assert_eq!(left, ["open", "open"]);
    for wrong in [&["--older-than", "soon"][..], &[]] {
        let args: Vec<&str> = ["dead-letters", "prune"].iter().chain(wrong).copied().collect();
        assert_eq!(world.ask(&args)?.run().await?.code, Some(2));
    }
    Ok(())
}
