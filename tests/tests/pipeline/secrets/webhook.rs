//! The webhook of notifications: its URL and its secret.

use anyhow::Result;
use catalog_tests::mock_server::{Fault, Matcher};
use catalog_tests::world::{Answer, Receiver, World};

use super::{NOWHERE, PASSWORD, api, clean, crawl, verbose};

#[tokio::test]
async fn a_webhook_exposes_neither_its_url_nor_its_secret() -> Result<()> {
    let (world, api) = (World::new().await?, api().await?);
    crawl(&world, &api)?.succeed().await?;
    let receiver = Receiver::start().await?;
    receiver.answer([Answer::Status(500)]);
    let url = receiver.url("hooks/Ssst7QhookSsst7Q");
    let elsewhere = format!("http://Ssst7Qme:Ssst7Qme@{NOWHERE}/Ssst7QhookSsst7Q?Ssst7Q");
    let consumer = |url: &str, secret: &str| {
        let program = verbose(world.consume()?).env("CATALOG_NOTIFY_URL", url);
        anyhow::Ok(program.env("CATALOG_NOTIFY_SECRET", secret).env("CATALOG_CHECK_CRAWL_AGE_WARNING", "0"))
    };
    // Both would be sent in one header.
    clean(&consumer(&elsewhere, PASSWORD)?.run().await?, 2);
    for (url, secret) in [(&url, PASSWORD), (&url, PASSWORD), (&elsewhere, "")] {
        clean(&consumer(url, secret)?.run().await?, 0);
        // So that the next one sends it again.
        sqlx::query("update notifications set next_attempt_at = now(), sent_at = null")
            .execute(world.pool())
            .await?;
    }
    let attempts: i32 =
        sqlx::query_scalar("select attempts from notifications").fetch_one(world.pool()).await?;
    assert_eq!(attempts, 3);
    Ok(())
}

#[tokio::test]
async fn a_webhook_of_the_producer_exposes_neither_its_url_nor_its_secret() -> Result<()> {
    let (world, api, mut receiver) = (World::new().await?, api().await?, Receiver::start().await?);
    api.fail(Matcher::domains(), Fault::status(503));
    receiver.answer([Answer::Status(500)]);
    let program = crawl(&world, &api)?.args(["--retry-for", "0"]);
    let program = program.env("CATALOG_NOTIFY_URL", &receiver.url("hooks/Ssst7QhookSsst7Q"));
    clean(&program.env("CATALOG_NOTIFY_SECRET", PASSWORD).run().await?, 1);
    let sent = receiver.rest();
    assert_eq!(sent.len(), 2);
    assert!(
        sent.iter().all(|sent| sent.head.contains(PASSWORD) && !sent.body.to_string().contains("Ssst7Q"))
    );
    Ok(())
}
