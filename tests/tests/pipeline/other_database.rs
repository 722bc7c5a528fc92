//! The database decides where a consumer starts, whatever the group has committed: an older backup or an
//! empty database catches up by itself.

use anyhow::Result;
use catalog_tests::mock_server::{MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::{CATALOG, World};

const LEDGER: [&str; 1] = ["run_partitions"];

#[tokio::test]
async fn a_database_restored_from_an_older_backup_catches_up() -> Result<()> {
    let world = World::new().await?;
    let api = MockServer::start(Options::new(Synthetic::new(300, 4))).await?;
    world.crawl(&api)?.succeed().await?;
    // Another schema serves as the backup. It has the contents of the tables after the first crawl.
    world.consume()?.args(["--schema", "backup"]).succeed().await?;
    world.consume()?.succeed().await?;
    world.crawl(&api)?.succeed().await?;
    world.consume()?.succeed().await?;
    assert_ne!(world.contents("backup", &CATALOG).await?, world.contents("catalog", &CATALOG).await?);

    world.consume()?.args(["--schema", "backup"]).succeed().await?;
    assert_eq!(world.contents("backup", &CATALOG).await?, world.contents("catalog", &CATALOG).await?);
    assert_eq!(world.contents("backup", &LEDGER).await?, world.contents("catalog", &LEDGER).await?);
    Ok(())
}

#[tokio::test]
async fn an_empty_database_starts_at_the_beginning() -> Result<()> {
    let world = World::new().await?;
    let api = MockServer::start(Options::new(Synthetic::new(300, 4))).await?;
    for _ in 0..2 {
        world.crawl(&api)?.succeed().await?;
        world.consume()?.succeed().await?;
    }
    // The group has committed the ends of all partitions, and an operator has reset the offsets to the same ends.
    world.consumer_groups(&["--reset-offsets", "--to-latest", "--all-topics", "--execute"]).await?;
    world.consume()?.args(["--schema", "empty"]).succeed().await?;
    assert_eq!(world.contents("empty", &CATALOG).await?, world.contents("catalog", &CATALOG).await?);
    Ok(())
}
