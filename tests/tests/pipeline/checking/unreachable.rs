//! A database or Kafka that does not answer.

use anyhow::Result;
use catalog_tests::world::World;

use super::{answer, applied, finding};

/// Nothing listens there.
const NOWHERE: &str = "127.0.0.1:1";

#[tokio::test]
async fn without_a_database_the_state_is_unknown_and_no_password_is_shown() -> Result<()> {
    let world = applied().await?.world;
    let url = world.login("Ssst7Q").await?;
    let wrong = url.replacen("Ssst7Q", "Ssst7Qwrong", 1);
    let nowhere = "postgres://me:Ssst7Q@127.0.0.1:1/catalog";
    for (url, why) in [(nowhere, "can't connect to the database"), ("", "--database-url")] {
        let ended = world.follow("catalog-consumer check")?.env("DATABASE_URL", url).run().await?;
        assert_eq!(ended.code, Some(3), "{}{}", ended.stdout, ended.stderr);
        assert!(ended.stdout.starts_with("UNKNOWN - ") && ended.stdout.contains(why), "{}", ended.stdout);
        assert!(!format!("{}{}", ended.stdout, ended.stderr).contains("7Q"), "{}", ended.stderr);
    }
    // The tests' server may accept any password.
    let ended = world.check(&[])?.env("DATABASE_URL", &wrong).run().await?;
    assert!(!format!("{}{}", ended.stdout, ended.stderr).contains("7Q"), "{}", ended.stderr);

    let new = World::unmigrated("").await?;
    let unknown = answer(&new, &[], 3).await?;
    assert!(finding(&unknown, "database", "unknown")?["found"].to_string().contains("migrate"), "{unknown}");
    Ok(())
}

#[tokio::test]
async fn a_server_that_never_answers_does_not_delay_the_check() -> Result<()> {
    let world = World::new().await?;
    // It accepts connections and never reads from them.
    let silent = std::net::TcpListener::bind("127.0.0.1:0")?;
    let address = silent.local_addr()?;
    let url = format!("postgres://me:Ssst7Q@{address}/catalog");
    let ended = world.check(&["--timeout", "1s"])?.env("DATABASE_URL", &url).run().await?;
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert!(ended.stdout.contains("no result within 1 s"), "{}", ended.stdout);
    let ended = world.check(&["--timeout", "6s"])?.env("KAFKA_BROKERS", &address.to_string()).run().await?;
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    // The address comes with the reason, so it is known before the time limit.
    let found = format!("the lag is unknown: Kafka at {address} ");
    assert!(ended.stdout.contains(&found), "{}", ended.stdout);
    Ok(())
}

#[tokio::test]
async fn without_kafka_the_tables_are_still_checked() -> Result<()> {
    let world = applied().await?.world;
    let ended = world.check(&[])?.env("KAFKA_BROKERS", NOWHERE).run().await?;
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    let answer = ended.summary()?;
    assert!(finding(&answer, "kafka", "critical")?["found"].to_string().contains(NOWHERE), "{answer}");
    finding(&answer, "full_crawl", "ok")?;
    world.check(&["--database-only"])?.env("KAFKA_BROKERS", NOWHERE).succeed().await?;
    let other = world.check(&[])?.env("CATALOG_TOPIC_PREFIX", "other.").run().await?;
    assert!(finding(&other.summary()?, "kafka", "critical")?["found"].to_string().contains("other."));
    Ok(())
}
