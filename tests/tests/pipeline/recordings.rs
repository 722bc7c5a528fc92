//! Complete real objects: every recording in `CATALOG_RECORDINGS` goes through both programs, is rebuilt,
//! and replayed.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use catalog_tests::mock_server::{MemoryCatalog, MockServer, Options};
use catalog_tests::oracle::{content, key};
use catalog_tests::world::{CATALOG, World};
use serde_json::Value;

/// The final effect of each record.
const LEDGER: [&str; 2] = ["runs", "run_partitions"];

#[tokio::test]
async fn recordings_are_stored_completely_and_other_orders_and_forms_of_them_write_nothing() -> Result<()> {
    let Some(folder) = std::env::var_os("CATALOG_RECORDINGS") else {
        // Not `eprintln!`, which is shown only when a test fails.
        writeln!(
            std::io::stderr(),
            "skipped: CATALOG_RECORDINGS names no folder of recordings (*.ndjson, *.ndjson.gz)"
        )?;
        return Ok(());
    };
    let recordings = recordings(Path::new(&folder))?;
    assert!(!recordings.is_empty(), "CATALOG_RECORDINGS holds no recordings");
    for recording in recordings {
        check_recording(&recording).await.with_context(|| recording.display().to_string())?;
    }
    Ok(())
}

fn recordings(folder: &Path) -> Result<Vec<PathBuf>> {
    let files = std::fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let paths = files.map(|file| Ok(file?.path())).collect::<Result<Vec<_>>>()?;
    let is_recording = |path: &PathBuf| {
        let name = path.to_string_lossy();
        name.ends_with(".ndjson") || name.ends_with(".ndjson.gz")
    };
    Ok(paths.into_iter().filter(is_recording).collect())
}

async fn check_recording(recording: &Path) -> Result<()> {
    let catalog = Arc::new(MemoryCatalog::from_ndjson(recording)?);
    let world = World::new().await?;
    let api = MockServer::start(Options::shared(Arc::clone(&catalog) as _)).await?;
    world.crawl(&api)?.args(["--page-size", "1000"]).succeed().await?;
    world.consume()?.succeed().await?;

    let objects = catalog.objects().into_iter().map(|object| serde_json::from_slice(&object));
    let objects = objects.collect::<Result<Vec<Value>, _>>()?;
    let expected: BTreeMap<_, _> = objects.iter().map(|object| (key(object), content(object))).collect();
    let rows: Vec<(String, String, Value)> =
        sqlx::query_as("select domain, id, record from socrata_datasets").fetch_all(world.pool()).await?;
    let stored: BTreeMap<_, _> =
        rows.into_iter().map(|(domain, id, record)| ((domain, id), record)).collect();
    // Not assert_eq!, because its message would contain both catalogs.
    assert_eq!(stored.len(), objects.len());
    let differs = expected.iter().find(|(key, content)| stored.get(key) != Some(content));
    assert!(differs.is_none(), "{differs:?}");

    let writes = "select md5(string_agg(xmin::text || ctid::text, ' ' order by region, domain, id)) from socrata_datasets";
    let before: String = sqlx::query_scalar(writes).fetch_one(world.pool()).await?;
    for form in [Form::ReversedAndPretty, Form::RotatedAndCompact] {
        objects.iter().try_for_each(|object| form.put(&catalog, object))?;
        world.crawl(&api)?.args(["--page-size", "1000"]).succeed().await?;
        let summary = world.consume()?.succeed().await?.summary()?;
        assert_eq!(summary["records"]["datasets"]["unchanged"], objects.len(), "{form:?}");
        assert_eq!(summary["runs"][0]["state"], "balanced");
        let after: String = sqlx::query_scalar(writes).fetch_one(world.pool()).await?;
        assert_eq!(after, before, "{form:?}");
    }
    stats_are_updated_in_place(&world).await?;
    assert_rebuilt(&world).await?;
    assert_replayed(&world).await
}

/// A form in which the API may write an unchanged object.
#[derive(Clone, Copy, Debug)]
enum Form {
    ReversedAndPretty,
    RotatedAndCompact,
}

impl Form {
    /// Serves the object in this form.
    fn put(self, catalog: &MemoryCatalog, object: &Value) -> Result<()> {
        let mut object = object.clone();
        let text = match self {
            Self::ReversedAndPretty => {
                reorder(&mut object, &|list| list.reverse());
                serde_json::to_string_pretty(&object)?
            }
            Self::RotatedAndCompact => {
                reorder(&mut object, &|list| {
                    let third = list.len() / 3;
                    list.rotate_left(third);
                });
                object.to_string()
            }
        };
        Ok(catalog.put(text)?)
    }
}

/// Permutes the lists whose order has no meaning. The lists of columns all get the same permutation.
fn reorder(object: &mut Value, permute: &impl Fn(&mut Vec<Value>)) {
    let fields = object["resource"].as_object_mut().into_iter().flatten();
    let columns = fields.filter(|(name, _)| name.starts_with("columns_")).map(|(_, list)| list);
    columns.filter_map(Value::as_array_mut).for_each(permute);
    for list in ["categories", "tags", "domain_tags", "domain_metadata"] {
        object["classification"][list].as_array_mut().into_iter().for_each(permute);
    }
}

/// Nearly all, because a page may be full of versions that another transaction can still see.
async fn stats_are_updated_in_place(world: &World) -> Result<()> {
    // A session reports its writes when it ends at the latest.
    world
        .until(
            "select count(*) = 0 from pg_stat_activity
             where application_name = 'catalog-consumer' and datname = current_database()",
        )
        .await?;
    let query =
        "select n_tup_upd, n_tup_hot_upd from pg_stat_user_tables where relname = 'socrata_dataset_stats'";
    let (updates, in_place): (i64, i64) = sqlx::query_as(query).fetch_one(world.pool()).await?;
    assert!(updates > 0 && in_place * 10 > updates * 9, "{in_place} of {updates} updates were in place");
    Ok(())
}

/// Each damage, and how many rows of which table are then missing, different and extra.
const DAMAGES: [(&str, &str, [u64; 3]); 4] = [
    (
        "socrata_datasets",
        "update socrata_datasets set name = 'damaged', retired_at = now() where id in (
            select id from socrata_datasets order by id limit 7
         )",
        [0, 7, 0],
    ),
    (
        "socrata_dataset_stats",
        "delete from socrata_dataset_stats where (domain, id) in (
            select domain, id from socrata_dataset_stats order by id desc limit 5
         )",
        [5, 0, 0],
    ),
    (
        "socrata_hosts",
        "insert into socrata_hosts values ('us', 'nowhere.example', 'nowhere.example', 1, 1, now())",
        [0, 0, 1],
    ),
    (
        "socrata_agencies",
        "update socrata_agencies set last_run = 1 where ctid = (select min(ctid) from socrata_agencies)",
        [0, 1, 0],
    ),
];

/// Asserts that the tables equal the topics, that damaged rows are reported, and that only these are repaired.
async fn assert_rebuilt(world: &World) -> Result<()> {
    let tables = world.contents("catalog", &CATALOG).await?;
    assert_eq!(world.rebuild()?.succeed().await?.differences()?, BTreeMap::new());
    assert_eq!(world.verify_topics()?.succeed().await?.differences()?, BTreeMap::new());
    world.ask(&["verify"])?.succeed().await?;
    assert_eq!(world.contents("catalog", &CATALOG).await?, tables);

    for (_, damage, _) in DAMAGES {
        sqlx::query(damage).execute(world.pool()).await?;
    }
    let damaged = DAMAGES.map(|(table, _, rows)| (table.to_owned(), rows)).into();
    let looked = world.verify_topics()?.run().await?;
    assert_eq!((looked.code, looked.differences()?), (Some(1), damaged));
    let named = looked.summary()?;
    let named: Vec<usize> =
        (0..5).map(|table| named["tables"][table]["listed"].as_array().map_or(0, Vec::len)).collect();
    assert_eq!(named, [7, 5, 0, 1, 1]);

    sqlx::query("create table public.before as select domain, id, xmin::text as write from socrata_datasets")
        .execute(world.pool())
        .await?;
    assert_eq!(world.rebuild()?.succeed().await?.differences()?, looked.differences()?);
    assert_eq!(world.contents("catalog", &CATALOG).await?, tables);
    let written = "select count(*) from socrata_datasets as stored join public.before using (domain, id)
        where stored.xmin::text <> before.write";
    assert_eq!(sqlx::query_scalar::<_, i64>(written).fetch_one(world.pool()).await?, 7);
    world.verify_topics()?.succeed().await?;
    world.ask(&["verify"])?.succeed().await?;
    Ok(())
}

/// Asserts that a reset to the beginning with Kafka's tools gives the same tables and counts nothing.
async fn assert_replayed(world: &World) -> Result<()> {
    let tables = world.contents("catalog", &CATALOG).await?;
    let ledger = world.contents("catalog", &LEDGER).await?;
    world.consumer_groups(&["--reset-offsets", "--to-earliest", "--all-topics", "--execute"]).await?;
    let summary = world.consume()?.succeed().await?.summary()?;
    assert_eq!(summary["records"]["datasets"]["new"], 0);
    assert_ne!(summary["records"]["datasets"]["older"], 0);
    assert_eq!(world.contents("catalog", &CATALOG).await?, tables);
    assert_eq!(world.contents("catalog", &LEDGER).await?, ledger);
    Ok(())
}
