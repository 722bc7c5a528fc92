//! A rebuild does not delete many rows without permission, and one refused row does not undo its repairs.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use catalog_tests::history::History;
use catalog_tests::world::{CATALOG, World};
use serde_json::Value;
use sqlx::AssertSqlSafe;

async fn execute(world: &World, statement: &str) -> Result<()> {
    sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(world.pool()).await?;
    Ok(())
}

/// Copies the assets of a domain to another one that the topics don't contain.
async fn copy_assets(world: &World, to: &str, limit: usize) -> Result<()> {
    for table in ["socrata_datasets", "socrata_dataset_stats"] {
        let copy = format!(
            "insert into {table} select (jsonb_populate_record(null::{table}, to_jsonb(stored) || '{{\"domain\": \"{to}\"}}')).* from (
                 select * from {table} where domain = 'a.example' order by id limit {limit}
             ) as stored"
        );
        execute(world, &copy).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_rebuild_that_would_delete_many_rows_is_refused_and_changes_nothing() -> Result<()> {
    let history = History::new(&[("a.example", 60), ("b.example", 30)]).await?;
    let world = &history.world;
    history.run(&[]).await?;
    copy_assets(world, "z.example", 60).await?;
    execute(
        world,
        "update socrata_datasets set name = 'damaged' where id = (select min(id) from socrata_datasets)",
    )
    .await?;
    let before = world.contents("catalog", &CATALOG).await?;

    let refused = world.rebuild()?.run().await?;
    assert_eq!(refused.code, Some(3), "{}", refused.stderr);
    for reported in [
        "60 of 150 rows of socrata_datasets in us,",
        "60 of 60 rows of socrata_datasets in us on z.example",
        "60 of 150 rows of socrata_dataset_stats in us,",
        "--force",
    ] {
        ensure!(refused.stderr.contains(reported), "{reported} is not in {}", refused.stderr);
    }
    assert_eq!(world.contents("catalog", &CATALOG).await?, before);

    // Even within the region's limit, a domain of 20 or more assets keeps half.
    let of_domain = world.rebuild()?.args(["--max-retire-share", "0.9"]).run().await?;
    assert_eq!(of_domain.code, Some(3), "{}", of_domain.stderr);
    ensure!(!of_domain.stderr.contains("60 of 150"), "{}", of_domain.stderr);
    assert_eq!(world.contents("catalog", &CATALOG).await?, before);

    let forced = world.rebuild()?.args(["--force"]).succeed().await?;
    let differences = forced.differences()?;
    ensure!(differences["socrata_datasets"][2] == 60 && differences["socrata_dataset_stats"][2] == 60);
    assert_eq!(world.verify_topics()?.succeed().await?.differences()?, BTreeMap::new());

    // A few extra rows are deleted without permission.
    copy_assets(world, "z.example", 15).await?;
    world.rebuild()?.succeed().await?;
    assert_eq!(world.verify_topics()?.succeed().await?.differences()?, BTreeMap::new());
    Ok(())
}

/// The number of refused rows per table.
fn refused(report: &Value) -> BTreeMap<&str, u64> {
    let tables = report["tables"].as_array().into_iter().flatten();
    let counts = tables.map(|reported| {
        (reported["table"].as_str().unwrap_or_default(), reported["refused"].as_u64().unwrap_or_default())
    });
    counts.filter(|(_, refused)| *refused > 0).collect()
}

async fn names(world: &World, name: &str) -> Result<Vec<String>> {
    let query = "select id from socrata_datasets where name = $1 order by id";
    Ok(sqlx::query_scalar(query).bind(name).fetch_all(world.pool()).await?)
}

#[tokio::test]
async fn one_refused_row_does_not_roll_back_the_other_repairs() -> Result<()> {
    let history = History::new(&[("a.example", 60)]).await?;
    let world = &history.world;
    history.run(&[]).await?;
    let ids: Vec<String> =
        sqlx::query_scalar("select id from socrata_datasets order by id").fetch_all(world.pool()).await?;
    let stuck = &ids[7];
    for deferred in [false, true] {
        execute(world, "update socrata_datasets set name = 'damaged'").await?;
        execute(world, "update socrata_dataset_stats set page_views_total = -1").await?;
        let how = if deferred { "deferrable initially deferred" } else { "" };
        execute(
            world,
            &format!(
                "create function refuse() returns trigger language plpgsql as
                     $$ begin raise exception 'not this one'; end $$;
                 create constraint trigger test_check after update on socrata_datasets {how} for each row
                 when (new.id = '{stuck}') execute function refuse()"
            ),
        )
        .await?;

        let rebuilt = world.rebuild()?.run().await?;
        assert_eq!(rebuilt.code, Some(1), "{}", rebuilt.stderr);
        ensure!(rebuilt.stderr.contains("refused 1 of the rows"), "{}", rebuilt.stderr);
        let report = rebuilt.summary()?;
        assert_eq!(refused(&report), [("socrata_datasets", 1)].into());
        let refusal = &report["refusals"][0];
        assert_eq!(
            (&refusal["table"], &refusal["key"][2]),
            (&"socrata_datasets".into(), &stuck.as_str().into())
        );
        ensure!(refusal["reason"].as_str().context("a reason")?.contains("not this one"));
        assert_eq!(names(world, "damaged").await?, std::slice::from_ref(stuck));
        execute(world, "drop trigger test_check on socrata_datasets; drop function refuse()").await?;
        let again = world.rebuild()?.succeed().await?;
        assert_eq!(again.differences()?, [("socrata_datasets".to_owned(), [0, 1, 0])].into());
    }
    Ok(())
}

#[tokio::test]
async fn a_refusal_is_recognized_by_its_column_and_not_by_the_text_of_the_reason() -> Result<()> {
    let history = History::new(&[("a.example", 60)]).await?;
    let world = &history.world;
    history.run(&[]).await?;
    let id: String =
        sqlx::query_scalar("select min(id) from socrata_datasets").fetch_one(world.pool()).await?;
    let check = format!("check (id <> '{id}' or last_run < 2)");
    execute(world, &format!("alter table socrata_dataset_stats add constraint test_check {check}")).await?;
    history.run(&[]).await?;
    let is_refused = "select refused from dead_letters";
    assert!(sqlx::query_scalar::<_, bool>(is_refused).fetch_one(world.pool()).await?);

    let counted = || async { anyhow::Ok(world.verify_topics()?.run().await?.summary()?) };
    let expected = BTreeMap::from([("socrata_dataset_stats", 1)]);
    execute(world, "update dead_letters set reason = 'in other words'").await?;
    assert_eq!(refused(&counted().await?), expected);
    execute(world, "update dead_letters set refused = false, reason = 'the database refuses it: no'").await?;
    assert_eq!(refused(&counted().await?), BTreeMap::new());

    // The migration parses the text once, for dead letters of earlier programs.
    execute(
        world,
        "alter table dead_letters drop column refused; drop table notifications; \
         delete from _sqlx_migrations where version >= 14",
    )
    .await?;
    world.migrate().await?;
    assert_eq!(refused(&counted().await?), expected);

    // A replay that fails for another reason reports that reason.
    execute(world, "update dead_letters set value = 'no json'").await?;
    assert_eq!(world.ask(&["dead-letters", "replay", "--all"])?.run().await?.code, Some(1));
    assert!(!sqlx::query_scalar::<_, bool>(is_refused).fetch_one(world.pool()).await?);
    Ok(())
}
