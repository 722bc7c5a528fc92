//! A disk of the database without space.

use anyhow::{Result, ensure};
use catalog_tests::mock_server::{MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::{DatabaseServer, SmallDisk, World};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::Fault;

#[tokio::test]
async fn full_disk() -> Result<()> {
    let Some(disk) = SmallDisk::mount(96)? else {
        // Elsewhere than in CI it is not tested.
        ensure!(std::env::var_os("CI").is_none(), "this user may not mount a disk");
        return Ok(());
    };
    let server = DatabaseServer::start().await?;
    let tablespace = format!("create tablespace small location '{}'", disk.path().display());
    let mut connection = PgConnection::connect(&server.url()?).await?;
    sqlx::query(AssertSqlSafe(tablespace)).execute(&mut connection).await?;
    let world = World::on_server_with(&server, "tablespace small").await?;
    world.migrate().await?;
    let api = MockServer::start(Options::new(Synthetic::new(300, 4))).await?;
    world.crawl(&api)?.succeed().await?;
    let operator = world.operator()?;
    let fault = Fault::named("full disk")?;
    fault.is_over(&operator).await?;

    disk.fill()?;
    // A consumer waits until there is space.
    let mut member = world.plain_run()?.start()?;
    member.logged(catalog_shared::events::DATABASE_UNREACHABLE).await?;
    let found = fault.find(&operator, "No space left on device").await?;
    let shown = operator.next(&found).await?;
    let path = disk.path().display().to_string();
    let line = shown.stdout.lines().find(|line| line.ends_with(&path)).unwrap_or_default();
    assert!(shown.code == Some(0) && line.contains("100%"), "{}", shown.stdout);

    disk.free()?;
    fault.is_over(&operator).await?;
    world.until("select exists (select from runs where state = 'balanced')").await?;
    member.terminate()?;
    assert_eq!(member.ended().await?.code, Some(0));
    Ok(())
}
