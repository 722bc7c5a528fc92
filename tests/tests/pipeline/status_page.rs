//! The status page at `/` of a running consumer, in Chromium and without it.

use anyhow::{Context, Result};
use catalog_tests::history::History;
use catalog_tests::mock_server::{MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::{MonitoringPort, Program, Running, World, render};

/// What a publisher might write to harm whoever looks at the page.
const HOSTILE: &str = r#"<script>document.title = "taken over"</script><img src=x onerror=alert(1)>"#;

/// A consumer that serves its page, and considers a partition stalled after a second.
fn watched(world: &World) -> Result<Program> {
    Ok(world.plain_run()?.args(["--metrics-addr", "0", "--stall-timeout", "1s"]))
}

async fn started(program: Program) -> Result<(Running, MonitoringPort)> {
    let mut member = program.start()?;
    let port = member.watched().await?;
    Ok((member, port))
}

/// The text of a document without its tags.
fn text(document: &str) -> String {
    let parts = document.split('<').filter_map(|part| part.split_once('>'));
    let text: String = parts.map(|(_, text)| text).collect();
    text.replace("&gt;", ">").replace("&lt;", "<").replace("&quot;", "\"").replace("&amp;", "&")
}

/// The commands of the page.
fn commands(document: &str) -> Vec<String> {
    let parts = document.split("<code class=\"command\">").skip(1);
    parts.filter_map(|part| Some(text(&format!(">{}<", part.split_once("</code>")?.0)))).collect()
}

/// Run 1 was accepted, run 2 retired a dataset with a hostile name and shielded a domain, and run 3 is on hold.
async fn eventful() -> Result<History> {
    let history = History::new(&[("a.example", 60), ("b.example", 20)]).await?;
    history.run(&[]).await?;
    history.take("b.example", 11)?;
    let gone = history.take("a.example", 1)?;
    history.run(&[]).await?;
    sqlx::query("update socrata_datasets set name = $1 where id = $2")
        .bind(HOSTILE)
        .bind(&gone[0].id)
        .execute(history.world.pool())
        .await?;
    history.take("a.example", 25)?;
    history.catalog.put_as("5zzz-zzzz", "a.example", r#"{"resource":{"name":"no id"}}"#);
    history.run(&[]).await?;
    Ok(history)
}

#[tokio::test]
async fn a_browser_shows_what_is_to_be_decided() -> Result<()> {
    let history = eventful().await?;
    let (_member, port) = started(watched(&history.world)?).await?;
    port.until_page(|page| page.contains("Nothing is unread in 6 partitions.")).await?;
    let Some(rendered) = render(&format!("http://{}/", port.addr())).await? else { return Ok(()) };
    let seen = text(&rendered.dom);
    let expected = [
        "WARNING - run 3 of us has been on hold for ",
        "could not be turned into records",
        "catalog-consumer runs approve --region us --run 3",
        "catalog-consumer runs decline --region us --run 3",
        "b.example of us: 11 datasets kept that run 2 did not see",
        "Open dead letters: 1",
        HOSTILE,
        "run 2 (full): accepted",
    ];
    for expected in expected {
        assert!(seen.contains(expected), "{expected} is missing:\n{seen}");
    }
    // Of the page itself, and no other.
    assert!(rendered.dom.contains("<title>WARNING - catalog-consumer</title>"), "{}", rendered.dom);
    assert!(!rendered.dom.contains("<script") && !rendered.dom.contains("<img"), "{}", rendered.dom);
    // The policy allows the style sheet, and there is nothing that it would refuse.
    assert!(!rendered.log.contains("Content Security Policy"), "{}", rendered.log);
    Ok(())
}

#[tokio::test]
async fn the_commands_of_the_page_work() -> Result<()> {
    let history = eventful().await?;
    let (_member, port) = started(watched(&history.world)?).await?;
    let page = port.until_page(|page| page.contains("Nothing is unread")).await?;
    let commands = commands(&page);
    let lifts = "catalog-consumer runs approve --region us --run 2 --domain b.example";
    assert!(commands.iter().any(|command| command == lifts), "{commands:?}");
    for command in commands {
        let decides = command.contains(" runs approve ") || command.contains(" runs decline ");
        let command = if decides { format!("{command} --yes") } else { command };
        if command.contains(" decline ") {
            // It was approved before.
            history.world.follow("catalog-consumer runs undo --region us --run 3 --yes")?.succeed().await?;
        }
        history.world.follow(&command)?.succeed().await.context(command)?;
    }
    port.until_page(|page| page.contains("No run is on hold.") && page.contains("No domain is shielded."))
        .await?;
    Ok(())
}

#[tokio::test]
async fn the_page_is_never_stored_framed_or_mixed_with_scripts() -> Result<()> {
    let world = World::new().await?;
    let (_member, port) = started(watched(&world)?).await?;
    let (status, head, page) = port.request("GET", "/").await?;
    assert_eq!(status, 200);
    let policy = head.lines().find(|line| line.starts_with("content-security-policy: "));
    let policy = policy.context("a policy")?.to_owned();
    let head = head.to_lowercase();
    for expected in [
        "content-type: text/html; charset=utf-8",
        "cache-control: no-store",
        "content-security-policy: default-src 'none'; style-src 'sha256-",
        "frame-ancestors 'none'",
        "x-content-type-options: nosniff",
    ] {
        assert!(head.contains(expected), "{expected} is missing: {head}");
    }
    assert!(!page.contains("<script"), "{page}");
    // Otherwise no style would apply.
    let style =
        page.split_once("<style>").and_then(|(_, rest)| rest.split_once("</style>")).context("a style")?.0;
    let hash: String = sqlx::query_scalar("select encode(sha256(convert_to($1, 'UTF8')), 'base64')")
        .bind(style)
        .fetch_one(world.pool())
        .await?;
    assert!(policy.contains(&format!("style-src 'sha256-{hash}'")), "{hash}: {policy}");
    assert_eq!(port.request("POST", "/").await?.0, 405);
    assert_eq!(port.get("/index.html").await?.0, 404);
    Ok(())
}

#[tokio::test]
async fn an_outage_of_the_database_leaves_the_page_with_what_was_known() -> Result<()> {
    let history = History::new(&[("a.example", 60)]).await?;
    history.run(&[]).await?;
    let (proxy, url) = history.world.proxy().await?;
    proxy.close();
    // At its start nothing is known.
    let (_member, port) = started(watched(&history.world)?.env("DATABASE_URL", &url)).await?;
    let starting = port.get("/").await?.1;
    assert!(text(&starting).contains("UNKNOWN - the tables are unknown: not read yet"), "{starting}");

    proxy.open().await?;
    port.until_page(|page| page.contains("<strong>OK</strong> - full crawl of us ended ")).await?;
    proxy.close();
    let away = port.until_page(|page| page.contains("<strong>UNKNOWN</strong> - ")).await?;
    for expected in ["The tables were last read ", "last accepted full crawl ended ", "It waits:"] {
        port.until_page(|page| text(page).contains(expected)).await.context(away.clone())?;
    }
    assert_eq!(port.get("/healthz").await?.0, 200);
    proxy.open().await?;
    port.until_page(|page| page.contains("<strong>OK</strong> - full crawl of us ended ")).await?;
    Ok(())
}

#[tokio::test]
async fn a_partition_that_stalls_is_on_the_page() -> Result<()> {
    let history = History::new(&[("a.example", 60)]).await?;
    history.run(&[]).await?;
    let (_member, port) = started(watched(&history.world)?).await?;
    let other = history.world.stall_hosts(2).await?;
    history.crawl(&[]).await?;
    let name = format!("{}[0]", history.world.topic("hosts"));
    let stalled = format!("CRITICAL - this consumer makes no progress: {name} has had no progress for ");
    let page = port.until_page(|page| text(page).contains(&stalled)).await?;
    assert!(text(&page).contains("this consumer, no progress for "), "{page}");
    other.rollback().await?;
    port.until_page(|page| page.contains("Nothing is unread in 6 partitions.")).await?;
    Ok(())
}

#[tokio::test]
async fn before_the_first_crawl_the_page_names_the_command_that_starts_it() -> Result<()> {
    let world = World::new().await?;
    let (_member, port) = started(watched(&world)?).await?;
    let page = port.until_page(|page| text(page).contains("no run has arrived in the tables")).await?;
    assert!(commands(&page).contains(&"catalog-producer crawl --region us".to_owned()), "{page}");
    assert!(text(&page).contains("there is no topic"), "{page}");
    Ok(())
}

#[tokio::test]
async fn limits_are_those_of_check_and_a_wrong_one_is_refused_at_the_start() -> Result<()> {
    let history = History::new(&[("a.example", 60)]).await?;
    history.run(&[]).await?;
    let limited = watched(&history.world)?.env("CATALOG_CHECK_CRAWL_AGE_CRITICAL", "0s");
    let (_member, port) = started(limited).await?;
    port.until_page(|page| page.contains("<strong>CRITICAL</strong> - full crawl of us ended ")).await?;
    let wrong = watched(&history.world)?.env("CATALOG_CHECK_CRAWL_AGE_CRITICAL", "soon").run().await?;
    assert_eq!(wrong.code, Some(2), "{}", wrong.stderr);
    assert!(wrong.error()?.contains("crawl-age-critical"), "{}", wrong.stderr);
    Ok(())
}

#[tokio::test]
async fn the_producer_says_where_the_page_is() -> Result<()> {
    let world = World::new().await?;
    let api = MockServer::start(Options::new(Synthetic::new(200, 4))).await?;
    let mut crawl = world.crawl(&api)?.args(["--metrics-addr", "0", "--rate", "1"]).start()?;
    let port = crawl.watched().await?;
    let (status, head, line) = port.request("GET", "/").await?;
    assert_eq!((status, head.contains("text/plain")), (200, true), "{head}");
    assert!(
        line.contains("/metrics") && line.contains("catalog-consumer") && line.lines().count() == 1,
        "{line}"
    );
    Ok(())
}
