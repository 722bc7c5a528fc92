//! The commands `dead-letters list`, `show`, `replay` and `discard`.

use anyhow::Result;
use catalog_shared::events;
use catalog_tests::world::{Sent, World, record_headers};
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

const HEADERS: [(&str, &str); 6] = record_headers("hosts");

/// Sends a host that can't be parsed.
async fn add_bad_host(world: &World) -> Result<i64> {
    let (key, value) = ("us/a.example", "{}");
    let sent =
        Sent { key: Some(key.as_bytes()), value: Some(value.as_bytes()), headers: &HEADERS, partition: 0 };
    world.send("hosts", sent).await
}

async fn states(world: &World) -> Result<Vec<(i64, String)>> {
    Ok(sqlx::query_as("select id, state from dead_letters order by id").fetch_all(world.pool()).await?)
}

#[tokio::test]
async fn a_producers_dead_letter_is_stored_and_not_counted_in_the_ledger() -> Result<()> {
    let (world, _double) = World::crawled_with_dead_letter().await?;
    let ended = world.consume()?.succeed().await?;
    assert_eq!(ended.summary()?["unkeyed"], 1);
    let letter: (Option<Vec<u8>>, Vec<u8>, String, i64, String, bool) =
        sqlx::query_as("select key, value, region, run, reason, counted from dead_letters")
            .fetch_one(world.pool())
            .await?;
    assert_eq!(letter.1, br#"{"resource":{"name":"no id"}}"#);
    assert_eq!(letter.0.unwrap_or_default(), b"");
    let (region, run, reason, counted) = (letter.2.as_str(), letter.3, letter.4.as_str(), letter.5);
    assert_eq!((region, run, reason, counted), ("us", 1, "resource.id is not a usable id", false));
    let topics: i64 =
        sqlx::query_scalar("select count(*) from run_partitions where topic like '%dead-letters'")
            .fetch_one(world.pool())
            .await?;
    assert_eq!(topics, 0);
    Ok(())
}

#[tokio::test]
async fn the_consumer_skips_dead_letters_that_expired_before_it_read_them() -> Result<()> {
    let (world, api) = World::crawled_with_dead_letter().await?;
    world.consume()?.succeed().await?;
    world.crawl(&api)?.succeed().await?;
    let topic = world.topic("dead-letters");
    let admin: AdminClient<DefaultClientContext> = world.kafka().create()?;
    let mut all = TopicPartitionList::new();
    all.add_partition_offset(&topic, 0, Offset::End)?;
    admin.delete_records(&all, &AdminOptions::new()).await?;
    world.crawl(&api)?.succeed().await?;
    let ended = world.consume()?.succeed().await?;
    assert!(!ended.logged(events::DEAD_LETTERS_EXPIRED).is_empty());
    let runs: Vec<i64> =
        sqlx::query_scalar("select run from dead_letters order by run").fetch_all(world.pool()).await?;
    assert_eq!(runs, [1, 3]);
    Ok(())
}

#[tokio::test]
async fn dead_letters_are_listed_replayed_and_discarded() -> Result<()> {
    let (world, _double) = World::crawled_with_dead_letter().await?;
    let offset = add_bad_host(&world).await?;
    world.consume()?.succeed().await?;
    let ids: Vec<i64> = states(&world).await?.into_iter().map(|(id, _)| id).collect();
    assert_eq!(ids.len(), 2);

    let listed = world.ask(&["dead-letters", "list"])?.succeed().await?.stdout;
    for expected in
        [&format!("{}[0]@{offset}", world.topic("hosts")), "us/a.example", "missing field", "not a usable id"]
    {
        assert!(listed.contains(expected), "{expected} is not in\n{listed}");
    }
    let of_run = world.ask(&["dead-letters", "list", "--run", "2", "--json"])?.succeed().await?.summary()?;
    let letters = of_run["dead_letters"].as_array().unwrap();
    assert_eq!(letters.len(), 1);
    assert_eq!((&letters[0]["offset"], &letters[0]["state"]), (&offset.into(), &"open".into()));
    assert_eq!((&letters[0]["key"], &letters[0]["counted"]), (&"us/a.example".into(), &true.into()));

    let replayed = world.ask(&["dead-letters", "replay", "--all"])?.run().await?;
    assert_eq!(replayed.code, Some(1));
    assert!(replayed.stdout.contains("missing field") && replayed.stdout.contains("nothing to replay"));
    assert!(states(&world).await?.iter().all(|(_, state)| state == "open"));

    assert_eq!(world.ask(&["dead-letters", "discard"])?.run().await?.code, Some(2));
    let id = letters[0]["id"].to_string();
    world.ask(&["dead-letters", "discard", "--id", &id])?.succeed().await?;
    assert_eq!(world.ask(&["dead-letters", "discard", "--id", &id])?.run().await?.code, Some(1));
    let left = world.ask(&["dead-letters", "list", "--json"])?.succeed().await?.summary()?;
    assert_eq!(left["dead_letters"].as_array().unwrap().len(), 1);
    let dead: i64 =
        sqlx::query_scalar("select dead from run_partitions where run = 2").fetch_one(world.pool()).await?;
    assert_eq!(dead, 1);
    Ok(())
}

/// Changes the bad hosts in the dead letters, as if a new build could parse them.
async fn make_hosts_readable(world: &World) -> Result<()> {
    sqlx::query("update dead_letters set value = convert_to($1, 'UTF8') where run = 2")
        .bind(r#"{"host":"a.example","domain":"d.example"}"#)
        .execute(world.pool())
        .await?;
    Ok(())
}

#[tokio::test]
async fn a_replayed_dead_letter_is_applied_with_its_own_version() -> Result<()> {
    let (world, _double) = World::crawled_with_dead_letter().await?;
    add_bad_host(&world).await?;
    world.consume()?.succeed().await?;
    make_hosts_readable(&world).await?;
    let replayed = world.ask(&["dead-letters", "replay", "--region", "us", "--run", "2"])?.succeed().await?;
    assert!(replayed.stdout.contains("new"), "{}", replayed.stdout);
    let row: (String, i64, i64) =
        sqlx::query_as("select domain, last_run, last_page from socrata_hosts where host = 'a.example'")
            .fetch_one(world.pool())
            .await?;
    assert_eq!(row, ("d.example".to_owned(), 2, 1));
    let ledger: (i64, i64) =
        sqlx::query_as("select new, dead from run_partitions where run = 2").fetch_one(world.pool()).await?;
    assert_eq!(ledger, (1, 0));
    Ok(())
}

/// Lets the replay of a dead letter fail, as a lost connection would.
const FAILING: &str = "
    create function failing() returns trigger language plpgsql as $$
    begin
        if new.id = (select max(id) from dead_letters) then
            raise exception 'terminating connection' using errcode = '57P01';
        end if;
        return new;
    end
    $$;
    create trigger failing before update on dead_letters for each row execute function failing()";

#[tokio::test]
async fn a_replay_that_fails_halfway_says_what_it_has_replayed() -> Result<()> {
    let (world, _double) = World::crawled_with_dead_letter().await?;
    for _ in 0..2 {
        add_bad_host(&world).await?;
    }
    world.consume()?.succeed().await?;
    make_hosts_readable(&world).await?;
    sqlx::raw_sql(FAILING).execute(world.pool()).await?;
    let failed = world.ask(&["dead-letters", "replay", "--run", "2", "--json"])?.run().await?;
    assert_eq!(failed.code, Some(1), "{}", failed.stderr);
    let failed = failed.summary()?;
    assert_eq!(
        (&failed["replayed"].as_array().map(Vec::len), &failed["replayed"][0]["effect"]),
        (&Some(1), &"new".into())
    );
    let error = failed["error"].as_str().unwrap_or_default();
    assert!(error.contains("dead letter ") && error.contains("terminating connection"), "{error}");
    let states: Vec<String> = sqlx::query_scalar("select state from dead_letters where run = 2 order by id")
        .fetch_all(world.pool())
        .await?;
    assert_eq!(states, ["replayed", "open"]);
    Ok(())
}

#[tokio::test]
async fn a_replayed_end_of_run_record_ends_its_run() -> Result<()> {
    let (world, _double) = World::crawled_with_dead_letter().await?;
    let headers = record_headers("marker");
    let key = Some("us/#run/2".as_bytes());
    world.send("hosts", Sent { key, value: Some(b"{}"), headers: &headers, partition: 0 }).await?;
    world.consume()?.succeed().await?;
    let ended = r#"{"run":2,"mode":"full","kinds":["hosts"],"api_url":"","since":null,"limit":null,"domains":[],
        "from":null,"previous_ended":1,"started_at":"2026-01-01T00:00:00Z","ended_at":"2026-01-02T00:00:00Z",
        "partitions":{"hosts":1},"published":0,"pages":1,"objects":0,"unkeyed":0,"skipped":0,"declared":{},
        "seen":{}}"#;
    let id: i64 = sqlx::query_scalar(
        "update dead_letters set value = convert_to($1, 'UTF8') where topic like '%.hosts' returning id",
    )
    .bind(ended)
    .fetch_one(world.pool())
    .await?;
    let replayed =
        world.ask(&["dead-letters", "replay", "--json", "--id", &id.to_string()])?.succeed().await?;
    assert_eq!(replayed.summary()?["replayed"][0]["effect"], "marker");
    let run: (String, Option<i64>) =
        sqlx::query_as("select state, published from runs where run = 2").fetch_one(world.pool()).await?;
    assert_eq!(run, ("ended".to_owned(), Some(0)));
    Ok(())
}
