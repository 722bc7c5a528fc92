//! `run --notify-url` sends each run that failed, is on hold or is missing, once.

use anyhow::Result;
use catalog_shared::events;
use catalog_tests::history::History;
use catalog_tests::mock_server::{Matcher, MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::{Answer, Ended, Program, Receiver, World};

/// A history whose second run is on hold, and shields a domain.
async fn held() -> Result<History> {
    let history = History::new(&[("a.example", 40), ("b.example", 100)]).await?;
    history.run(&[]).await?;
    history.take("a.example", 30)?;
    history.take("b.example", 40)?;
    history.run(&[]).await?;
    Ok(history)
}

fn notifying(program: Program, receiver: &Receiver) -> Program {
    let program = program.env("CATALOG_NOTIFY_URL", &receiver.url("hook/T0?token=x"));
    program.env("CATALOG_NOTIFY_SECRET", "from me")
}

/// Lets the notifications that wait for another attempt be due now.
async fn make_due(world: &World) -> Result<()> {
    sqlx::query("update notifications set next_attempt_at = now()").execute(world.pool()).await?;
    Ok(())
}

/// A run that ends once it has caught up, and then sends what is due.
async fn once(world: &World, receiver: &Receiver) -> Result<Ended> {
    notifying(world.consume()?, receiver).succeed().await
}

#[tokio::test]
async fn a_run_on_hold_is_sent_once_whatever_the_number_of_consumers_and_restarts() -> Result<()> {
    let (history, mut receiver) = (held().await?, Receiver::start().await?);
    let world = &history.world;
    let start = || notifying(world.plain_run()?, &receiver).start();
    let (mut one, mut two) = (start()?, start()?);
    let sent = one.reaches(receiver.next()).await??;
    assert!(sent.head.starts_with("POST /hook/T0?token=x HTTP/1.1\r\n"), "{}", sent.head);
    assert!(sent.head.to_lowercase().contains("\r\nauthorization: bearer from me\r\n"), "{}", sent.head);
    let body = &sent.body;
    assert_eq!(
        (&body["event"], &body["region"], &body["run"]),
        (&"run_held".into(), &"us".into(), &2.into())
    );
    assert_eq!(body["next"], "catalog-consumer runs show 2 --region us");
    let text = body["text"].as_str().unwrap_or_default();
    assert!(text.starts_with("WARNING - run 2 of us has been on hold for "), "{body}");
    assert!(body["id"].is_string() && body["at"].is_string(), "{body}");
    for member in [&mut one, &mut two] {
        member.terminate()?;
    }
    assert_eq!((one.ended().await?.code, two.ended().await?.code), (Some(0), Some(0)));
    for _ in 0..2 {
        once(world, &receiver).await?;
    }
    assert_eq!(receiver.rest().len(), 0);
    Ok(())
}

#[tokio::test]
async fn a_notification_that_was_not_accepted_is_sent_again_with_the_same_id() -> Result<()> {
    let (history, mut receiver) = (held().await?, Receiver::start().await?);
    let world = &history.world;
    // An error, a redirect that must not be followed, and no answer until the timeout.
    receiver.answer([Answer::Status(500), Answer::Status(302), Answer::Never]);
    let mut ids = Vec::new();
    for attempt in 1..=4 {
        let ended = once(world, &receiver).await?;
        let failed = ended.logged(events::NOTIFICATION_FAILED);
        assert_eq!(failed.len(), usize::from(attempt < 4), "{}", ended.stderr);
        assert!(failed.iter().all(|line| line["attempts"] == attempt), "{failed:?}");
        ids.push(receiver.next().await?.body["id"].clone());
        make_due(world).await?;
    }
    ids.dedup();
    assert_eq!(ids.len(), 1);
    once(world, &receiver).await?;
    assert_eq!(receiver.rest().len(), 0);
    Ok(())
}

#[tokio::test]
async fn a_consumer_that_was_killed_before_the_answer_sends_again_with_the_same_id() -> Result<()> {
    let (history, mut receiver) = (held().await?, Receiver::start().await?);
    let world = &history.world;
    receiver.answer([Answer::Never]);
    let mut killed = notifying(world.plain_run()?, &receiver).start()?;
    let first = killed.reaches(receiver.next()).await??;
    killed.kill().await?;
    make_due(world).await?;
    once(world, &receiver).await?;
    assert_eq!(receiver.next().await?.body["id"], first.body["id"]);
    Ok(())
}

#[tokio::test]
async fn a_missed_crawl_and_a_run_that_stays_open_are_sent_with_their_limits() -> Result<()> {
    let (world, mut receiver) = (World::new().await?, Receiver::start().await?);
    let api = MockServer::start(Options::new(Synthetic::new(300, 3))).await?;
    world.crawl(&api)?.succeed().await?;
    let mut gate = api.hold(Matcher::pages().nth(2));
    let mut interrupted = world.crawl(&api)?.args(["--concurrency", "1"]).start()?;
    interrupted.reaches(gate.arrived()).await?;
    interrupted.terminate()?;
    interrupted.ended().await?;
    // With the default limits all is well.
    once(&world, &receiver).await?;
    assert_eq!(receiver.rest().len(), 0);
    let strict = || -> Result<Program> {
        let program = notifying(world.consume()?, &receiver);
        let program = program.env("CATALOG_CHECK_OPEN_WARNING", "0");
        let program = program.env("CATALOG_CHECK_LAST_CRAWL_AGE_WARNING", "0");
        Ok(program.env("CATALOG_CHECK_CRAWL_AGE_WARNING", "0"))
    };
    strict()?.succeed().await?;
    strict()?.succeed().await?;
    let sent = receiver.rest();
    let mut events: Vec<_> = sent.iter().map(|sent| (&sent.body["event"], &sent.body["run"])).collect();
    events.sort_by_key(|(event, _)| event.to_string());
    // Run 1 is both the last crawl and the last full one.
    let expected =
        [("crawl_late".into(), 1.into()), ("crawl_missed".into(), 1.into()), ("run_failed".into(), 2.into())];
    assert_eq!(events, expected.iter().map(|(event, run)| (event, run)).collect::<Vec<_>>());
    Ok(())
}

#[tokio::test]
async fn a_consumer_that_starts_does_not_take_unread_records_for_missing_runs() -> Result<()> {
    let (history, mut receiver) = (held().await?, Receiver::start().await?);
    let world = &history.world;
    // With this limit the last accepted crawl counts as missed at once.
    let program = notifying(world.plain_run()?, &receiver).env("CATALOG_CHECK_CRAWL_AGE_WARNING", "0");
    let mut starting = program.start()?;
    let sent = starting.reaches(receiver.next()).await??;
    assert_eq!(sent.body["event"], "run_held");
    starting.terminate()?;
    starting.ended().await?;
    assert_eq!(receiver.rest().len(), 0);
    Ok(())
}

#[tokio::test]
async fn a_run_that_has_caught_up_ends_with_the_report_of_check() -> Result<()> {
    let history = held().await?;
    let world = &history.world;
    let checked = world.check(&[])?.run().await?;
    assert_eq!(checked.code, Some(1), "{}", checked.stderr);
    let checked = checked.summary()?;
    let ended = world.consume()?.succeed().await?;
    let shown = &ended.summary()?["check"];
    assert_eq!((&shown["level"], &checked["level"]), (&"warning".into(), &"warning".into()), "{shown}");
    let names = |report: &serde_json::Value| -> Vec<String> {
        let findings = report["findings"].as_array().into_iter().flatten();
        findings.map(|finding| format!("{} {}", finding["check"], finding["level"])).collect()
    };
    assert_eq!(names(shown), names(&checked));
    Ok(())
}
