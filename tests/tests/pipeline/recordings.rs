//! Real objects, whole: every recording that `CATALOG_RECORDINGS` holds goes through both programs.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use catalog_tests::double::{Double, MemoryCatalog, Options};
use catalog_tests::oracle::{content, key};
use catalog_tests::world::World;
use serde_json::Value;

#[tokio::test]
async fn recordings_go_through_whole_and_again_without_a_write() -> Result<()> {
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
        go_through(&recording).await.with_context(|| recording.display().to_string())?;
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

async fn go_through(recording: &Path) -> Result<()> {
    let catalog = Arc::new(MemoryCatalog::from_ndjson(recording)?);
    let world = World::new().await?;
    let double = Double::start(Options::shared(Arc::clone(&catalog) as _)).await?;
    world.crawl(&double)?.args(["--page-size", "1000"]).succeed().await?;
    world.consume()?.succeed().await?;

    let objects = catalog.objects().into_iter().map(|object| serde_json::from_slice(&object));
    let objects = objects.collect::<Result<Vec<Value>, _>>()?;
    let expected: BTreeMap<_, _> = objects.iter().map(|object| (key(object), content(object))).collect();
    let rows: Vec<(String, String, Value)> =
        sqlx::query_as("select domain, id, record from socrata_datasets").fetch_all(world.pool()).await?;
    let stored: BTreeMap<_, _> =
        rows.into_iter().map(|(domain, id, record)| ((domain, id), record)).collect();
    // Not assert_eq!, whose message would hold both catalogs.
    assert_eq!(stored.len(), objects.len());
    let differs = expected.iter().find(|(key, content)| stored.get(key) != Some(content));
    assert!(differs.is_none(), "{differs:?}");

    let writes = "select md5(string_agg(xmin::text || ctid::text, ' ' order by region, domain, id)) from socrata_datasets";
    let before: String = sqlx::query_scalar(writes).fetch_one(world.pool()).await?;
    world.crawl(&double)?.args(["--page-size", "1000"]).succeed().await?;
    let summary = world.consume()?.succeed().await?.summary()?;
    assert_eq!(summary["records"]["datasets"]["unchanged"], objects.len());
    assert_eq!(summary["runs"][0]["state"], "balanced");
    let after: String = sqlx::query_scalar(writes).fetch_one(world.pool()).await?;
    assert_eq!(after, before);
    Ok(())
}
