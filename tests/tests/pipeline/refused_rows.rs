//! A row that only the database refuses becomes a dead letter, and the rest of its batch is applied.

use anyhow::Result;
use catalog_tests::mock_server::{MockServer, Options};
use catalog_tests::oracle::key;
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::World;
use sqlx::AssertSqlSafe;

const ASSETS: i64 = 300;

/// A crawl into migrated tables, and the ids of three assets.
async fn crawled() -> Result<(World, MockServer, Vec<String>)> {
    let world = World::new().await?;
    world.migrate().await?;
    let catalog = Synthetic::new(ASSETS as u64, 3);
    let api = MockServer::start(Options::new(Synthetic::new(ASSETS as u64, 3))).await?;
    world.crawl(&api)?.succeed().await?;
    let objects = catalog.objects().step_by(100).map(|object| Ok(key(&serde_json::from_slice(&object)?).1));
    Ok((world, api, objects.collect::<Result<_>>()?))
}

async fn execute(world: &World, statement: String) -> Result<()> {
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(world.pool()).await?;
    Ok(())
}

async fn refuse(world: &World, ids: &[String]) -> Result<()> {
    let check = format!("check (id not in ('{}'))", ids.join("', '"));
    execute(world, format!("alter table socrata_datasets add constraint test_check {check}")).await
}

async fn scalar(world: &World, query: &'static str) -> Result<i64> {
    Ok(sqlx::query_scalar(query).fetch_one(world.pool()).await?)
}

/// A run's state, and its published, applied and dead counts.
async fn ledger(world: &World, run: i64) -> Result<(String, i64, i64, i64)> {
    let ledger = "select state, published, applied, dead from runs where run = $1";
    Ok(sqlx::query_as(ledger).bind(run).fetch_one(world.pool()).await?)
}

#[tokio::test]
async fn rows_that_a_constraint_refuses_become_dead_letters_and_the_rest_is_applied() -> Result<()> {
    let (world, _double, ids) = crawled().await?;
    refuse(&world, &ids).await?;
    let summary = world.consume()?.succeed().await?.summary()?;
    assert_eq!(summary["records"]["datasets"]["dead"], ids.len());
    assert_eq!(scalar(&world, "select count(*) from socrata_datasets").await?, ASSETS - 3);
    assert_eq!(scalar(&world, "select count(*) from socrata_dataset_stats").await?, ASSETS - 3);
    let letters =
        "select count(*) from dead_letters where counted and reason like '%\"test_check\"%SQLSTATE 23514%'";
    assert_eq!(scalar(&world, letters).await?, 3);
    let (state, published, applied, dead) = ledger(&world, 1).await?;
    // Their keys name their domains, which are shielded.
    assert_eq!((state.as_str(), published, dead), ("balanced", applied + 3, 3));

    execute(&world, "alter table socrata_datasets drop constraint test_check".to_owned()).await?;
    let replayed = world.ask(&["dead-letters", "replay", "--all", "--json"])?.succeed().await?.summary()?;
    let effects: Vec<_> =
        replayed["replayed"].as_array().unwrap().iter().map(|reported| &reported["effect"]).collect();
    assert_eq!(effects, ["new", "new", "new"]);
    assert_eq!(scalar(&world, "select count(*) from socrata_datasets").await?, ASSETS);
    let (_, published, applied, dead) = ledger(&world, 1).await?;
    assert_eq!((published, dead), (applied, 0));
    let ledger = "select sum(new - published)::bigint from run_partitions where topic like '%.datasets'";
    assert_eq!(scalar(&world, ledger).await?, 0);
    let open = "select count(*) from dead_letters where state <> 'replayed' or settled_at is null";
    assert_eq!(scalar(&world, open).await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_replayed_dead_letter_never_overwrites_a_newer_version() -> Result<()> {
    let (world, api, ids) = crawled().await?;
    refuse(&world, &ids[..1]).await?;
    world.consume()?.succeed().await?;
    execute(&world, "alter table socrata_datasets drop constraint test_check".to_owned()).await?;
    world.crawl(&api)?.succeed().await?;
    world.consume()?.succeed().await?;
    assert_eq!(scalar(&world, "select count(*) from socrata_datasets").await?, ASSETS);
    let replayed = world.ask(&["dead-letters", "replay", "--run", "1"])?.succeed().await?;
    assert!(replayed.stdout.contains("Replayed 1 of 1") && replayed.stdout.contains("older"), "{replayed:?}");
    assert_eq!(scalar(&world, "select count(*) from socrata_dataset_stats where last_run < 2").await?, 0);
    let ledger = "select sum(older)::bigint from run_partitions where run = 1 and topic like '%.datasets'";
    assert_eq!(scalar(&world, ledger).await?, 1);
    Ok(())
}

#[tokio::test]
async fn rows_refused_by_a_trigger_or_a_deferred_constraint_become_dead_letters_too() -> Result<()> {
    let (world, _double, ids) = crawled().await?;
    let id = &ids[1];
    execute(
        &world,
        format!(
            "create function refuse() returns trigger language plpgsql as
               $$ begin if new.id = '{id}' then raise exception 'not %', new.id; end if; return new; end $$;
             create constraint trigger late after insert on socrata_datasets
               deferrable initially deferred for each row execute function refuse();"
        ),
    )
    .await?;
    world.consume()?.succeed().await?;
    assert_eq!(scalar(&world, "select count(*) from socrata_datasets").await?, ASSETS - 1);
    let letter = "select count(*) from dead_letters where reason like '%not %' and counted";
    assert_eq!(scalar(&world, letter).await?, 1);
    let (_, published, applied, dead) = ledger(&world, 1).await?;
    assert_eq!((published, dead), (applied + 1, 1));
    Ok(())
}

#[tokio::test]
async fn a_replay_continues_after_a_dead_letter_that_is_refused_at_the_commit() -> Result<()> {
    let (world, _double, ids) = crawled().await?;
    refuse(&world, &ids).await?;
    world.consume()?.succeed().await?;
    let second = "select split_part(convert_from(key, 'UTF8'), '/', 3)
         from dead_letters order by id limit 1 offset 1";
    let id: String = sqlx::query_scalar(second).fetch_one(world.pool()).await?;
    let late = format!(
        "alter table socrata_datasets drop constraint test_check;
         create function refuse() returns trigger language plpgsql as
           $$ begin if new.id = '{id}' then raise exception 'not %', new.id; end if; return new; end $$;
         create constraint trigger late after insert on socrata_datasets
           deferrable initially deferred for each row execute function refuse();"
    );
    execute(&world, late).await?;
    let ended = world.ask(&["dead-letters", "replay", "--all", "--json"])?.run().await?;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let reported = ended.summary()?["replayed"].as_array().cloned().unwrap_or_default();
    let effects: Vec<_> =
        reported.iter().map(|reported| reported["effect"].as_str().unwrap_or_default()).collect();
    assert_eq!(effects, ["new", "failed", "new"]);
    assert!(reported[1]["reason"].as_str().is_some_and(|reason| reason.contains(&id)), "{reported:?}");
    assert_eq!(scalar(&world, "select count(*) from dead_letters where state = 'open'").await?, 1);
    Ok(())
}

#[tokio::test]
async fn an_older_version_is_applied_if_the_newer_one_in_its_batch_is_refused() -> Result<()> {
    let (world, api, ids) = crawled().await?;
    world.crawl(&api)?.succeed().await?;
    // Both runs arrive in one batch, and only the second is refused.
    let id = &ids[0];
    let check = format!("check (id <> '{id}' or last_run < 2)");
    execute(&world, format!("alter table socrata_dataset_stats add constraint test_check {check}")).await?;
    world.consume()?.args(["--batch-size", "10000"]).succeed().await?;
    let oldest = "select last_run from socrata_dataset_stats order by last_run limit 1";
    assert_eq!(scalar(&world, oldest).await?, 1);
    assert_eq!(scalar(&world, "select count(*) from socrata_datasets").await?, ASSETS);
    Ok(())
}

#[tokio::test]
async fn a_row_that_is_refused_only_in_a_replay_is_not_counted() -> Result<()> {
    let (world, _double, ids) = crawled().await?;
    world.consume()?.succeed().await?;
    let ledger = "select sum(new * 1000000 + unchanged * 1000 + dead)::bigint from run_partitions";
    let before = scalar(&world, ledger).await?;
    let check = format!("check (id <> '{}') not valid", ids[0]);
    execute(&world, format!("alter table socrata_dataset_stats add constraint test_check {check}")).await?;
    execute(&world, "update positions set position = 0".to_owned()).await?;
    world.consume()?.succeed().await?;
    assert_eq!(scalar(&world, "select count(*) from dead_letters where not counted").await?, 1);
    assert_eq!(scalar(&world, ledger).await?, before);

    execute(&world, "alter table socrata_dataset_stats drop constraint test_check".to_owned()).await?;
    let replayed = world.ask(&["dead-letters", "replay", "--all"])?.succeed().await?;
    assert!(replayed.stdout.contains("unchanged"), "{}", replayed.stdout);
    assert_eq!(scalar(&world, ledger).await?, before);
    Ok(())
}
