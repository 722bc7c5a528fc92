//! Recording a crawl, and whether the recordings of this repository are still what the producer records.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::Result;
use catalog_tests::mock_server::{MockServer, Options, Recording};
use catalog_tests::world::World;

use super::scenes::{Scene, asked_to_record};
use super::{all_was_played, records};

type Files = BTreeMap<String, Vec<u8>>;

/// Records each scene from the mock server and compares it with the stored recording, because a recording that the
/// producer would no longer make tests nothing. `CATALOG_RECORD_CASSETTES=1` stores the new recordings.
#[tokio::test]
async fn the_stored_recordings_are_what_the_producer_records_today() -> Result<()> {
    for scene in Scene::ALL {
        let recorded = record(scene).await?;
        if asked_to_record() {
            keep(&scene.folder(), &recorded)?;
        }
        let kept = files(&scene.folder())?;
        let names = |files: &Files| files.keys().cloned().collect::<Vec<_>>();
        assert_eq!(
            names(&recorded),
            names(&kept),
            "{}: record it again (docs/reference/recordings.md)",
            scene.name()
        );
        let same = |name: &&String| certain(&recorded[*name]) == certain(&kept[*name]);
        let differ: Vec<_> = recorded.keys().filter(|name| !same(name)).collect();
        assert!(
            differ.is_empty(),
            "{}: record it again (docs/reference/recordings.md): {differ:?}",
            scene.name()
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_recorded_crawl_and_its_playback_publish_the_same() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (live, stage) = (World::new().await?, Scene::Paging.stage().await?);
    Scene::Paging.crawl(&live, &stage, Some(folder.path())).await?;
    let player = MockServer::start(Options::playing(Recording::read(folder.path())?)).await?;
    let played = World::new().await?;
    Scene::Paging.crawl(&played, &player, None).await?;
    all_was_played(&player)?;
    for topic in ["datasets", "domains", "hosts", "agencies"] {
        let one = records(&live, topic).await?;
        assert!(!one.is_empty() && one == records(&played, topic).await?, "{topic} differs");
    }
    Ok(())
}

#[tokio::test]
async fn a_recorded_head_contains_only_headers_that_are_not_secret() -> Result<()> {
    const FIELDS: [&str; 9] = [
        "method",
        "path",
        "query",
        "asked",
        "ended",
        "status",
        "content-type",
        "retry-after",
        "x-socrata-region",
    ];
    for scene in Scene::ALL {
        for (name, file) in files(&scene.folder())? {
            for line in String::from_utf8_lossy(head(&file)).lines() {
                let field = line.split(':').next().unwrap_or_default();
                assert!(FIELDS.contains(&field), "{name}: {line}");
            }
        }
    }
    Ok(())
}

async fn record(scene: Scene) -> Result<Files> {
    let folder = tempfile::tempdir()?;
    let (world, stage) = (World::new().await?, scene.stage().await?);
    scene.crawl(&world, &stage, Some(folder.path())).await?;
    files(folder.path())
}

fn keep(folder: &Path, recorded: &Files) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder)?;
    for (name, file) in recorded {
        fs::write(folder.join(name), file)?;
    }
    Ok(())
}

/// The part of a file that is always the same. If a connection breaks, the received length varies.
fn certain(file: &[u8]) -> &[u8] {
    let head = head(file);
    if head.windows(12).any(|line| line == b"\nended: whole") { file } else { head }
}

fn head(file: &[u8]) -> &[u8] {
    let end = file.windows(2).position(|pair| pair == b"\n\n");
    &file[..end.unwrap_or(file.len())]
}

fn files(folder: &Path) -> Result<Files> {
    let mut files = Files::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        files.insert(entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path())?);
    }
    Ok(files)
}
