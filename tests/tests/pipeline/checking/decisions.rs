//! Findings that wait for a person: runs on hold or open, dead letters, shields, and errors of `verify`.

use anyhow::Result;
use catalog_tests::history::History;
use catalog_tests::world::Sent;

use super::{answer, applied, execute, finding, follow};

#[tokio::test]
async fn a_run_on_hold_names_the_command_that_shows_it() -> Result<()> {
    let history = applied().await?;
    history.take("a.example", 30)?;
    history.run(&[]).await?;
    let held = answer(&history.world, &[], 1).await?;
    let found = finding(&held, "held_runs", "warning")?;
    assert_eq!(found["run"], 2);
    let shown = follow(&history.world, found).await?;
    assert!(shown.stdout.contains("Run 2 of us is held."), "{}{}", shown.stdout, shown.stderr);
    let critical = answer(&history.world, &["--held-critical", "0s"], 2).await?;
    finding(&critical, "held_runs", "critical")?;
    answer(
        &history.world,
        &["--region", "eu", "--crawl-age-warning", "off", "--crawl-age-critical", "off"],
        0,
    )
    .await?;
    Ok(())
}

#[tokio::test]
async fn a_run_that_stays_open_names_the_command_that_shows_its_producer() -> Result<()> {
    let world = applied().await?.world;
    execute(
        &world,
        "insert into runs (region, run, state) values ('us', 2, 'open');
         update socrata_hosts set last_run = 2, observed_at = now() - interval '8 hours'",
    )
    .await?;
    let open = answer(&world, &[], 1).await?;
    let found = finding(&open, "open_runs", "warning")?;
    assert_eq!(found["run"], 2);
    assert_eq!(follow(&world, found).await?.code, Some(0));
    answer(&world, &["--open-warning", "9h"], 0).await?;
    Ok(())
}

#[tokio::test]
async fn a_run_without_other_records_is_no_warning_while_its_end_of_run_records_arrive() -> Result<()> {
    let world = applied().await?.world;
    // The first of them has arrived, and describes the run.
    let ended =
        "insert into runs (region, run, state, started_at, ended_at) values ('us', 2, 'open', now(), now())";
    execute(&world, ended).await?;
    let open = answer(&world, &[], 0).await?;
    let found = finding(&open, "open_runs", "ok")?;
    assert_eq!(found["run"], 2);
    answer(&world, &["--open-warning", "0s"], 1).await?;
    Ok(())
}

#[tokio::test]
async fn open_dead_letters_name_the_command_that_lists_them() -> Result<()> {
    let world = applied().await?.world;
    let headers = [("kind", "hosts"), ("schema", "1"), ("region", "us"), ("run", "1"), ("page", "1")];
    let sent = Sent { key: Some(b"us/broken"), value: Some(b"?"), headers: &headers, ..Sent::default() };
    world.send("hosts", sent).await?;
    world.consume()?.succeed().await?;
    let dead = answer(&world, &[], 1).await?;
    let found = finding(&dead, "dead_letters", "warning")?;
    assert_eq!(found["value"], 1);
    let listed = follow(&world, found).await?;
    assert!(listed.code == Some(0) && listed.stdout.contains("us/broken"), "{}", listed.stdout);
    world.ask(&["dead-letters", "discard", "--all"])?.succeed().await?;
    finding(&answer(&world, &[], 0).await?, "dead_letters", "ok")?;
    Ok(())
}

#[tokio::test]
async fn shielded_domains_name_the_command_that_shows_the_shields() -> Result<()> {
    let history = History::new(&[("a.example", 100), ("b.example", 20)]).await?;
    history.run(&[]).await?;
    history.catalog.declare("b.example", 5);
    history.take("b.example", 15)?;
    history.run(&[]).await?;
    answer(&history.world, &[], 0).await?;
    let shielded = answer(&history.world, &["--shielded-warning", "1"], 1).await?;
    let shown = follow(&history.world, finding(&shielded, "shielded_domains", "warning")?).await?;
    assert!(shown.stdout.contains("runs approve --region us --run 2 --domain b.example"), "{}", shown.stdout);
    Ok(())
}

#[tokio::test]
async fn errors_of_verify_are_critical_and_name_it() -> Result<()> {
    let world = applied().await?.world;
    execute(
        &world,
        "delete from socrata_dataset_stats where id = (select min(id) from socrata_dataset_stats)",
    )
    .await?;
    answer(&world, &[], 0).await?;
    let damaged = answer(&world, &["--verify"], 2).await?;
    let found = finding(&damaged, "verify", "critical")?;
    assert!(found["found"].to_string().contains("datasets_without_stats (1)"), "{found}");
    assert_eq!(follow(&world, found).await?.code, Some(1));
    Ok(())
}
