//! Records that can't be applied are stored unchanged as dead letters, once each, and do not block others. Too many
//! of them stop the consumer.

use anyhow::Result;
use catalog_tests::mock_server::{MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::{Sent, World, record_headers};
use serde_json::Value;

const ASSETS: i64 = 200;
const GOOD_KEY: &[u8] = b"us/d.example/aaaa-bbbb";
const GOOD: &[u8] = br#"{"resource":{"id":"aaaa-bbbb"},"metadata":{"domain":"d.example"}}"#;
const HEADERS: [(&str, &str); 6] = record_headers("datasets");

async fn crawled() -> Result<World> {
    let world = World::new().await?;
    let api = MockServer::start(Options::new(Synthetic::new(ASSETS as u64, 3))).await?;
    world.crawl(&api)?.succeed().await?;
    Ok(world)
}

/// The headers of a valid record with one of them changed.
fn but(name: &str, value: &'static str) -> Vec<(&'static str, &'static str)> {
    HEADERS.map(|(key, held)| (key, if key == name { value } else { held })).to_vec()
}

const fn good() -> Sent<'static> {
    Sent { partition: 0, key: Some(GOOD_KEY), value: Some(GOOD), headers: &HEADERS }
}

type Stored = (i64, Option<Vec<u8>>, Option<Vec<u8>>, Option<i64>, String, bool);
const LETTERS: &str =
    r#"select "offset", key, value, run, reason, counted from dead_letters order by "offset""#;

/// A record that was sent: its offset, the reason why it can't be applied, and whether its run counts it.
type Refused<'a> = (i64, Sent<'a>, &'a str, bool);

async fn stored(world: &World) -> Result<Vec<Stored>> {
    Ok(sqlx::query_as(LETTERS).fetch_all(world.pool()).await?)
}

fn assert_stored_unchanged(letters: &[Stored], sent: &[Refused<'_>]) {
    assert_eq!(letters.len(), sent.len());
    for ((offset, key, value, run, reason, counted), (at, record, rule, counts)) in letters.iter().zip(sent) {
        assert_eq!((offset, counted), (at, counts), "{reason}");
        assert_eq!((key.as_deref(), value.as_deref()), (record.key, record.value), "{reason}");
        assert!(reason.contains(rule), "{reason:?} is not {rule:?}");
        assert!(!counts || *run == Some(2), "{reason}");
    }
}

/// Applies all records again. Nothing is stored or counted twice.
async fn assert_redelivery_changes_nothing(world: &World, letters: &[Stored]) -> Result<()> {
    sqlx::query("update positions set position = 0").execute(world.pool()).await?;
    world.consume()?.succeed().await?;
    assert_eq!(stored(world).await?, letters);
    let dead: Vec<(i64, i64)> =
        sqlx::query_as("select run, sum(dead)::bigint from run_partitions group by run order by run")
            .fetch_all(world.pool())
            .await?;
    assert_eq!(dead, [(1, 0), (2, 9)]);
    Ok(())
}

/// A record without a key is missing here, because brokers refuse it in a compacted topic.
#[tokio::test]
async fn each_bad_record_is_stored_unchanged_with_the_reason_and_the_rest_is_applied() -> Result<()> {
    let world = crawled().await?;
    let (no_run, foreign, early, late) = (
        &HEADERS[..3],
        but("kind", "hosts"),
        but("run", "1"),
        but("observed_at", "9999-12-31T23:59:59-01:00"),
    );
    let marker = but("kind", "marker");
    let bad: [(Sent<'_>, &str, bool); 13] = [
        (Sent { headers: &[], ..good() }, "the header `schema` is missing", false),
        (Sent { headers: no_run, ..good() }, "the header `run` is missing", false),
        (Sent { headers: &late, ..good() }, "which is not an RFC 3339 time", true),
        (Sent { value: None, ..good() }, "no value", true),
        (Sent { key: Some(b"us/\xff"), ..good() }, "the key is not UTF-8", true),
        (Sent { key: Some(b"eu/d.example/aaaa-bbbb"), ..good() }, "the key disagrees with the headers", true),
        (Sent { key: Some(b"us/d.example/aaaa-cccc"), ..good() }, "but the key has", true),
        (Sent { value: Some(b"[]"), ..good() }, "not a JSON object", true),
        (Sent { value: Some(b"{"), ..good() }, "not a JSON object", true),
        (Sent { value: Some(b"\xff"), ..good() }, "the value is not UTF-8", true),
        (Sent { headers: &foreign, ..good() }, "the header `kind` is hosts", true),
        // Its run has already ended on this partition, so it does not count for the run.
        (Sent { headers: &early, value: None, ..good() }, "no value", false),
        (Sent { headers: &marker, key: Some(b"us/#run/2"), ..good() }, "does not fit its record type", false),
    ];
    // One follows its run's end-of-run record in the same batch. The others are in a separate batch.
    let straggler = Sent { headers: &early, value: None, ..good() };
    let mut sent = vec![(world.send("datasets", straggler).await?, straggler, "no value", false)];
    world.consume()?.succeed().await?;
    for (record, rule, counted) in bad {
        sent.push((world.send("datasets", record).await?, record, rule, counted));
    }
    world.send("datasets", good()).await?;
    let summary = world.consume()?.succeed().await?.summary()?;
    assert_eq!(summary["records"]["datasets"]["dead"], sent.len() - 1);

    let letters = stored(&world).await?;
    assert_stored_unchanged(&letters, &sent);
    let headers: Value = sqlx::query_scalar("select headers from dead_letters where reason like '%UTF-8%' and key is not null and value is not null and reason like '%key%'")
        .fetch_one(world.pool())
        .await?;
    assert_eq!(headers, serde_json::to_value(HEADERS)?);
    let rows: i64 =
        sqlx::query_scalar("select count(*) from socrata_datasets").fetch_one(world.pool()).await?;
    assert_eq!(rows, ASSETS + 1);
    assert_redelivery_changes_nothing(&world, &letters).await
}

#[tokio::test]
async fn too_many_dead_letters_in_a_row_stop_each_start_at_the_same_record() -> Result<()> {
    let world = crawled().await?;
    let mut offsets = Vec::new();
    for _ in 0..12 {
        offsets.push(world.send("datasets", Sent { value: None, ..good() }).await?);
    }
    world.send("datasets", good()).await?;
    let limited = |size| anyhow::Ok(world.consume()?.args(["--max-dead-in-row", "10", "--batch-size", size]));
    for size in ["1000", "3", "1000"] {
        let ended = limited(size)?.run().await?;
        assert_eq!(ended.code, Some(3), "{}", ended.stderr);
        let reported = format!("the last one being offset {} of {}[0]", offsets[10], world.topic("datasets"));
        assert!(ended.stderr.contains(&reported), "never reported {reported:?}: {}", ended.stderr);
        assert!(ended.stderr.contains("dead-letters"), "{}", ended.stderr);
        // The batch that exceeds the limit is not in the tables.
        let position: i64 = sqlx::query_scalar(
            "select position from positions where topic like '%.datasets' and partition = 0",
        )
        .fetch_one(world.pool())
        .await?;
        assert!(position <= offsets[10], "{position}");
        let beyond: i64 = sqlx::query_scalar(r#"select count(*) from dead_letters where "offset" >= $1"#)
            .bind(position)
            .fetch_one(world.pool())
            .await?;
        assert_eq!(beyond, 0);
    }
    // With higher limits they are stored as dead letters, and the consumer continues.
    world.consume()?.succeed().await?;
    let letters: i64 =
        sqlx::query_scalar("select count(*) from dead_letters").fetch_one(world.pool()).await?;
    assert_eq!(letters, 12);
    world.send("datasets", Sent { value: None, ..good() }).await?;
    limited("1000")?.succeed().await?;
    Ok(())
}

#[tokio::test]
async fn too_large_a_share_of_the_last_thousand_records_stops_the_consumer() -> Result<()> {
    let world = crawled().await?;
    for _ in 0..21 {
        world.send("datasets", Sent { value: None, ..good() }).await?;
        world.send("datasets", good()).await?;
    }
    let limited = |share| anyhow::Ok(world.consume()?.args(["--max-dead-share", share]));
    for _ in 0..2 {
        let ended = limited("0.02")?.run().await?;
        assert_eq!(ended.code, Some(3), "{}", ended.stderr);
        assert!(ended.stderr.contains("21 of the last 1000 records"), "{}", ended.stderr);
    }
    limited("0.021")?.succeed().await?;
    Ok(())
}

#[tokio::test]
async fn discarded_dead_letters_do_not_count_for_the_limits() -> Result<()> {
    let world = crawled().await?;
    let limited = || anyhow::Ok(world.consume()?.args(["--max-dead-in-row", "10"]));
    let send_six = async || {
        for _ in 0..6 {
            world.send("datasets", Sent { value: None, ..good() }).await?;
        }
        anyhow::Ok(())
    };
    send_six().await?;
    limited()?.succeed().await?;
    send_six().await?;
    assert_eq!(limited()?.run().await?.code, Some(3));
    world.ask(&["dead-letters", "discard", "--all"])?.succeed().await?;
    limited()?.succeed().await?;
    Ok(())
}
