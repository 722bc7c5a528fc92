//! `crawl --notify-url` sends a failed crawl when it fails, once per run.

use anyhow::Result;
use catalog_shared::events;
use catalog_tests::mock_server::{Fault, Matcher, MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::{Answer, Ended, Program, Receiver, World};

async fn start() -> Result<(World, MockServer, Receiver)> {
    let api = MockServer::start(Options::new(Synthetic::new(1_000, 5))).await?;
    Ok((World::new().await?, api, Receiver::start().await?))
}

/// A crawl over one lane that notifies, and does not repeat requests.
fn crawl(world: &World, api: &MockServer, receiver: &Receiver) -> Result<Program> {
    let program = world.crawl(api)?.args(["--retry-for", "0", "--concurrency", "1"]);
    let program = program.env("CATALOG_NOTIFY_URL", &receiver.url("hook/T0?token=x"));
    Ok(program.env("CATALOG_NOTIFY_SECRET", "from me"))
}

/// The API fails after some pages.
fn fail_later(api: &MockServer) {
    api.fail(Matcher::pages().that(|request| request.sequence > 3), Fault::status(503));
}

#[track_caller]
fn assert_exit(ended: &Ended, code: i32) {
    assert_eq!(ended.code, Some(code), "{}", ended.stderr);
}

#[tokio::test]
async fn a_failed_run_is_sent_once_however_often_it_is_continued() -> Result<()> {
    let (world, api, mut receiver) = start().await?;
    fail_later(&api);
    for _ in 0..3 {
        assert_exit(&crawl(&world, &api, &receiver)?.run().await?, 1);
    }
    let sent = receiver.next().await?;
    assert!(sent.head.starts_with("POST /hook/T0?token=x HTTP/1.1\r\n"), "{}", sent.head);
    assert!(sent.head.to_lowercase().contains("\r\nauthorization: bearer from me\r\n"), "{}", sent.head);
    let body = &sent.body;
    assert_eq!(
        (&body["event"], &body["region"], &body["run"]),
        (&"run_failed".into(), &"us".into(), &1.into())
    );
    assert_eq!((&body["check"], &body["level"]), (&"crawl".into(), &"warning".into()));
    let text = body["text"].as_str().unwrap_or_default();
    assert!(text.starts_with("WARNING - run 1 of us failed: ") && text.contains("503"), "{body}");
    let next = body["next"].as_str().unwrap_or_default();
    let shown = world.follow(next)?.succeed().await?;
    assert!(shown.stdout.contains("503"), "{}", shown.stdout);
    assert_eq!(receiver.rest().len(), 0);

    // Another run is told again.
    api.heal();
    assert_exit(&crawl(&world, &api, &receiver)?.run().await?, 0);
    assert_eq!(receiver.rest().len(), 0);
    fail_later(&api);
    assert_exit(&crawl(&world, &api, &receiver)?.run().await?, 1);
    assert_eq!(receiver.next().await?.body["run"], 2);
    assert_eq!(receiver.rest().len(), 0);
    Ok(())
}

#[tokio::test]
async fn a_notification_that_is_refused_is_sent_again_with_the_same_id() -> Result<()> {
    let (world, api, mut receiver) = start().await?;
    fail_later(&api);
    receiver.answer([Answer::Status(500), Answer::Status(302)]);
    let ended = crawl(&world, &api, &receiver)?.run().await?;
    assert_exit(&ended, 1);
    let attempts: Vec<_> =
        ended.logged(events::NOTIFICATION_FAILED).iter().map(|line| line["attempts"].clone()).collect();
    assert_eq!(attempts, [1, 2], "{}", ended.stderr);
    assert_eq!(ended.logged(events::NOTIFICATION_SENT).len(), 1, "{}", ended.stderr);
    let mut ids: Vec<_> = receiver.rest().iter().map(|sent| sent.body["id"].clone()).collect();
    assert_eq!(ids.len(), 3);
    ids.dedup();
    assert_eq!(ids.len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_notification_that_was_not_accepted_is_sent_by_the_next_failed_crawl() -> Result<()> {
    let (world, api, mut receiver) = start().await?;
    fail_later(&api);
    receiver.answer([Answer::Never]);
    let mut failed = crawl(&world, &api, &receiver)?.start()?;
    failed.reaches(receiver.next()).await??;
    // It ends without the answer, with the exit code of the failure.
    failed.terminate()?;
    assert_exit(&failed.ended().await?, 1);
    assert_exit(&crawl(&world, &api, &receiver)?.run().await?, 1);
    assert_eq!(receiver.next().await?.body["run"], 1);
    Ok(())
}

#[tokio::test]
async fn a_schedule_sends_its_first_failure_and_another_one_only_after_a_complete_run() -> Result<()> {
    let (world, api, mut receiver) = start().await?;
    let flags = ["--every", "1s", "--full-every", "3650d", "--jitter", "0"];
    let mut producer = crawl(&world, &api, &receiver)?.args(flags).start()?;
    for part in 1..=2 {
        api.fail(Matcher::domains(), Fault::status(503));
        for _ in 0..3 {
            producer.logged(events::CRAWL_FAILED).await?;
        }
        let sent = receiver.next().await?.body;
        let text = sent["text"].as_str().unwrap_or_default();
        assert!(text.starts_with("WARNING - a crawl of us failed at its start: "), "{sent}");
        assert_eq!((sent.get("run"), &sent["next"]), (None, &"catalog-producer doctor --region us".into()));
        assert_eq!(receiver.rest().len(), 0, "{part}");
        api.heal();
        // The one before it is complete.
        while producer.logged(events::CRAWL_STARTED).await?["run"] == part {}
    }
    producer.terminate()?;
    producer.ended().await?;
    assert_eq!(receiver.rest().len(), 0);
    Ok(())
}

#[tokio::test]
async fn a_signal_is_no_failure_and_a_guard_needs_a_person() -> Result<()> {
    let (world, api, mut receiver) = start().await?;
    let mut gate = api.hold(Matcher::pages().nth(3));
    let mut interrupted = crawl(&world, &api, &receiver)?.start()?;
    interrupted.reaches(gate.arrived()).await?;
    interrupted.terminate()?;
    assert_exit(&interrupted.ended().await?, 143);
    gate.release();
    let mut gate = api.hold(Matcher::pages());
    let mut fenced = crawl(&world, &api, &receiver)?.start()?;
    fenced.reaches(gate.arrived()).await?;
    let mut second = crawl(&world, &api, &receiver)?.start()?;
    second.reaches(gate.arrived()).await?;
    gate.release();
    assert_exit(&fenced.ended().await?, 3);
    assert_exit(&second.ended().await?, 0);
    let sent = receiver.next().await?.body;
    assert_eq!((&sent["level"], &sent["run"]), (&"critical".into(), &1.into()));
    let text = sent["text"].as_str().unwrap_or_default();
    assert!(text.starts_with("CRITICAL - run 1 of us failed: "), "{sent}");
    assert!(text.contains("another producer of region us has taken over"), "{sent}");
    assert_eq!(receiver.rest().len(), 0);
    Ok(())
}

#[tokio::test]
async fn a_schedule_that_can_not_start_is_not_sent_at_each_restart() -> Result<()> {
    let (world, api, mut receiver) = start().await?;
    let limited = crawl(&world, &api, &receiver)?.args(["--limit", "500"]);
    fail_later(&api);
    assert_exit(&limited.run().await?, 1);
    assert_eq!(receiver.next().await?.body["run"], 1);
    for _ in 0..2 {
        let scheduled = crawl(&world, &api, &receiver)?.args(["--every", "1h"]);
        assert_exit(&scheduled.run().await?, 2);
    }
    assert_eq!(receiver.rest().len(), 0);
    // From cron each of them is sent.
    assert_exit(&crawl(&world, &api, &receiver)?.run().await?, 2);
    assert_eq!(receiver.next().await?.body["level"], "critical");
    Ok(())
}
