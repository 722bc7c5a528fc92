//! Runs the commands of the documentation: the `sh` and `sql` blocks of each page, in order.

mod dbt;
mod deleting;
mod reference;

use anyhow::{Result, ensure};
use catalog_tests::docs::{Page, Run, pages};
use catalog_tests::history::History;
use catalog_tests::world::Sent;

/// Pages whose blocks another test runs. `moving` needs a second Kafka, and `queries` compares results.
const ELSEWHERE: [&str; 8] = [
    "docs/how-to/move-to-another-kafka.md",
    "docs/how-to/query-the-catalog.md",
    "README.md",
    dbt::PAGE,
    deleting::PAGE,
    STUCK,
    PGBOUNCER,
    OWN_COLUMNS,
];

const STUCK: &str = "docs/how-to/stuck-partition.md";
const PGBOUNCER: &str = "docs/how-to/pgbouncer.md";
const OWN_COLUMNS: &str = "docs/how-to/own-columns.md";

/// Pages, and the catalog that each runs on. The tutorial serves its own catalog at its own rate.
macro_rules! pages {
    ($($name:ident: $page:literal on $history:ident, $variables:expr;)*) => {
        const RUN: &[&str] = &[$($page),*];

        $(#[tokio::test]
        async fn $name() -> Result<()> {
            run($page, &$history().await?, $variables).await
        })*
    };
}

const AT_ONCE: &[(&str, &str)] = &[("CATALOG_RATE", "none"), ("CATALOG_PARTITIONS", "2")];

pages! {
    the_tutorial: "docs/tutorial.md" on nothing, &[("CATALOG_SCHEMA", "tutorial")];
    crawling: "docs/how-to/crawl-the-live-api.md" on nothing, AT_ONCE;
    crawling_a_part: "docs/how-to/crawl-a-part.md" on crawled, AT_ONCE;
    previewing: "docs/how-to/preview-without-writing.md" on crawled, AT_ONCE;
    deploying: "docs/how-to/deploy.md" on nothing, AT_ONCE;
    deciding: "docs/how-to/decide-about-a-run.md" on halved, AT_ONCE;
    backing_up: "docs/how-to/backup-and-restore.md" on crawled, AT_ONCE;
    sizing: "docs/how-to/sizing.md" on crawled, AT_ONCE;
    checking: "docs/how-to/check-from-cron.md" on crawled, AT_ONCE;
    examining: "docs/how-to/doctor.md" on crawled, AT_ONCE;
    handling_dead_letters: "docs/how-to/handle-dead-letters.md" on with_dead_letters, AT_ONCE;
    rebuilding: "docs/how-to/verify-and-rebuild.md" on crawled, AT_ONCE;
    replaying: "docs/how-to/replay-from-an-offset.md" on crawled, AT_ONCE;
    recovering: "docs/how-to/recover-lost-topics.md" on crawled, AT_ONCE;
    keeping_two_copies: "docs/how-to/keep-two-copies.md" on crawled, AT_ONCE;
    recording: "docs/how-to/record-the-api.md" on nothing, AT_ONCE;
    seeing_whether_it_is_up_to_date: "docs/how-to/is-it-up-to-date.md" on crawled, AT_ONCE;
    finding_what_failed: "docs/how-to/what-failed.md" on halved, AT_ONCE;
    scaling: "docs/how-to/scale.md" on crawled, AT_ONCE;
    upgrading: "docs/how-to/upgrade.md" on crawled, AT_ONCE;
    keeping_one_city: "docs/how-to/keep-one-city.md" on nothing, AT_ONCE;
    notifying: "docs/how-to/notifications.md" on crawled, AT_ONCE;
    letting_somebody_read: "docs/how-to/roles.md" on nothing, AT_ONCE;
    reading_the_topics: "docs/how-to/own-consumer.md" on crawled_twice, AT_ONCE;
}

async fn run(page: &str, history: &History, variables: &[(&str, &str)]) -> Result<()> {
    let url = history.api.url();
    let mut all = vec![("CATALOG_API_URL", url.as_str())];
    all.extend(variables);
    history.world.run_page(&Page::read(page)?, &all).await
}

/// A catalog that was not crawled.
async fn nothing() -> Result<History> {
    History::new(&[("data.cityofchicago.org", 40), ("b.example", 100)]).await
}

/// Run 1 is in the tables.
async fn crawled() -> Result<History> {
    let history = nothing().await?;
    history.run(&[]).await?;
    Ok(history)
}

/// Its topics have more records than the example asks for.
async fn crawled_twice() -> Result<History> {
    let history = crawled().await?;
    history.run(&[]).await?;
    Ok(history)
}

/// Run 2 is on hold, and shields data.cityofchicago.org.
async fn halved() -> Result<History> {
    let history = crawled().await?;
    history.take("data.cityofchicago.org", 30)?;
    history.take("b.example", 40)?;
    history.run(&[]).await?;
    Ok(history)
}

/// Two records of run 1 can't be read.
async fn with_dead_letters() -> Result<History> {
    let history = crawled().await?;
    let headers = [("kind", "hosts"), ("schema", "1"), ("region", "us"), ("run", "1"), ("page", "1")];
    for _ in 0..2 {
        let sent = Sent { key: Some(b"us/x"), value: Some(b"?"), headers: &headers, ..Sent::default() };
        history.world.send("hosts", sent).await?;
    }
    history.world.consume()?.succeed().await?;
    Ok(history)
}

/// Beside a running consumer, which the page asks for its state.
#[tokio::test]
async fn finding_a_stuck_partition() -> Result<()> {
    let history = crawled().await?;
    let mut consumer = history.world.plain_run()?.args(["--metrics-addr", "0"]).start()?;
    let port = consumer.watched().await?;
    port.until("/readyz", 200, |_| true).await?;
    run(STUCK, &history, &[("CATALOG_METRICS_ADDR", port.addr())]).await
}

#[tokio::test]
async fn connecting_through_pgbouncer() -> Result<()> {
    let history = crawled().await?;
    let (_pooler, url) = history.world.pooler("pool_mode = session").await?;
    run(PGBOUNCER, &history, &[("DATABASE_URL", &url)]).await
}

/// The page changes each row, and then rebuilds the tables.
#[tokio::test]
async fn adding_columns() -> Result<()> {
    let history = crawled().await?;
    run(OWN_COLUMNS, &history, AT_ONCE).await?;
    let counts = "select count(*), count(*) filter (where my_note = 'seen' and my_title = lower(name)),
            count(*) filter (where name = 'changed by hand')
        from socrata_datasets";
    let counts: (i64, i64, i64) = sqlx::query_as(counts).fetch_one(history.world.pool()).await?;
    assert!(counts.0 > 100 && counts.0 == counts.1 && counts.2 == 0, "{counts:?}");
    let indexes = "select count(*) from pg_indexes where indexname = 'my_datasets_title'";
    let indexes: i64 = sqlx::query_scalar(indexes).fetch_one(history.world.pool()).await?;
    let notes: i64 =
        sqlx::query_scalar("select count(*) from mine.notes").fetch_one(history.world.pool()).await?;
    assert_eq!((indexes, notes), (1, counts.0));
    Ok(())
}

#[test]
fn each_page_with_commands_is_run() -> Result<()> {
    for page in pages()? {
        let blocks = page.blocks()?;
        let has_commands = blocks.iter().any(|block| block.is_command() && block.run != Run::Not);
        let is_run = RUN.contains(&page.path.as_str()) || ELSEWHERE.contains(&page.path.as_str());
        ensure!(has_commands == is_run, "{}: has commands: {has_commands}, is run: {is_run}", page.path);
    }
    Ok(())
}
