//! The commands of docs/how-to/alerts.md, section by section, as somebody who was called by an alert runs them.

use anyhow::{Context, Result, ensure};
use catalog_tests::docs::{Page, code_spans};
use catalog_tests::history::History;
use catalog_tests::world::{MonitoringPort, Operator, Running, Sent};

const PAGE: &str = "docs/how-to/alerts.md";
/// Commands that ask the system that runs the programs.
const NOT_RUN: [&str; 4] = ["docker ", "journalctl ", "kubectl ", "systemctl "];
/// Commands that are run. Other spans are names.
const RUN: [&str; 4] = ["catalog-consumer ", "catalog-producer ", "curl ", "psql "];

/// Whether the runs of the page's crawls are applied.
const APPLIED: [&str; 2] = [
    "select exists (select from runs where run = 3 and state <> 'open')",
    "select exists (select from runs where run = 4 and state <> 'open')",
];

/// The commands of a page's sections about alerts, in their order.
fn commands() -> Result<Vec<String>> {
    let page = Page::read(PAGE)?;
    let (_, alerts) = page.text.split_once("\n## Alerts\n").context("the page has alerts")?;
    let spans = code_spans(alerts).into_iter().map(|(_, span)| span);
    let (known, unknown): (Vec<_>, Vec<_>) = spans
        .filter(|span| span.contains(' ') && !span.starts_with('-'))
        .filter(|span| !NOT_RUN.iter().any(|start| span.starts_with(start)))
        .partition(|span| RUN.iter().any(|start| span.starts_with(start)));
    // `crawl --domain` and the like name a way to crawl.
    let unknown: Vec<_> = unknown.iter().filter(|span| !span.starts_with("crawl ")).collect();
    ensure!(unknown.is_empty(), "neither run nor known: {unknown:?}");
    Ok(known)
}

/// A catalog with a run on hold and two dead letters, and a consumer that serves its state.
async fn alarmed() -> Result<(History, Running, MonitoringPort)> {
    let history = History::new(&[("a.example", 60)]).await?;
    history.run(&[]).await?;
    // The table refuses the host's record of run 2 until its constraint is dropped, so that one can be replayed.
    history.take("a.example", 30)?;
    let refuse = "alter table socrata_hosts add constraint refused check (last_run < 2)";
    sqlx::query(refuse).execute(history.world.pool()).await?;
    history.run(&[]).await?;
    sqlx::query("alter table socrata_hosts drop constraint refused").execute(history.world.pool()).await?;
    let headers = [("kind", "hosts"), ("schema", "1"), ("region", "us"), ("run", "1"), ("page", "1")];
    let sent = Sent { key: Some(b"us/x"), value: Some(b"?"), headers: &headers, ..Sent::default() };
    history.world.send("hosts", sent).await?;
    history.world.consume()?.succeed().await?;
    let mut member = history.world.plain_run()?.args(["--metrics-addr", "0"]).start()?;
    let port = member.watched().await?;
    port.until("/readyz", 200, |body| body["partitions"] == 6).await?;
    Ok((history, member, port))
}

/// Replaces the example's numbers and address by those of this catalog.
async fn own(command: &str, history: &History, port: &MonitoringPort) -> Result<String> {
    let numbers = "select (select max(run) from runs where state = 'held'), (select min(id) from dead_letters where state = 'open')";
    let (run, letter): (Option<i64>, Option<i64>) =
        sqlx::query_as(numbers).fetch_one(history.world.pool()).await?;
    let (run, letter) = (run.unwrap_or(2).to_string(), letter.unwrap_or_default().to_string());
    let command = command.replace("127.0.0.1:9464", port.addr());
    let command = command.replace("runs show 6", &format!("runs show {run}"));
    let command = command.replace("--run 6", &format!("--run {run}"));
    let command = command.replace("dead-letters show 1", &format!("dead-letters show {letter}"));
    Ok(command.replace("--id 1", &format!("--id {letter}")))
}

/// Runs a command. `check` reports by its exit code that there is something to do.
async fn run(operator: &Operator<'_>, command: &str) -> Result<()> {
    let ended = operator.run(command).await?;
    let is_check = command.starts_with("catalog-consumer check");
    ensure!(
        ended.code == Some(0) || (is_check && matches!(ended.code, Some(1 | 2))),
        "{command}: {:?}\n{}{}",
        ended.code,
        ended.stdout,
        ended.stderr
    );
    Ok(())
}

#[tokio::test]
async fn each_command_of_the_runbook_works() -> Result<()> {
    let (history, _member, port) = alarmed().await?;
    let operator = history.world.operator()?.env("CATALOG_API_URL", &history.api.url());
    let (mut ran, mut applied) = (0, APPLIED.into_iter());
    for command in commands()? {
        let command = own(&command, &history, &port).await?;
        run(&operator, &command).await?;
        ran += 1;
        if command.starts_with("catalog-producer crawl") {
            history.world.until(applied.next().context("a crawl more than expected")?).await?;
        }
        // The page names both decisions, of which a person makes one.
        if command.contains(" runs approve ") {
            run(&operator, &command.replace(" approve ", " undo ")).await?;
        }
    }
    ensure!(ran > 30, "only {ran} commands were found");
    Ok(())
}
