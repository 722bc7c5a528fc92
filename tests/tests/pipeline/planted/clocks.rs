//! A host whose clock is wrong. `libfaketime` shifts the clock of every program that this host runs.

use std::path::PathBuf;

use anyhow::{Context, Result};
use catalog_tests::mock_server::{MockServer, Options};
use catalog_tests::synthetic::Synthetic;
use catalog_tests::world::{Operator, World};

use super::{Fault, find};

/// Shifts the clock of all programs that the operator runs.
fn on_shifted_host<'a>(operator: Operator<'a>, by: &str) -> Result<Operator<'a>> {
    let folders = ["x86_64-linux-gnu", "aarch64-linux-gnu"].map(|folder| format!("/usr/lib/{folder}"));
    let library = folders
        .iter()
        .map(|folder| PathBuf::from(folder).join("faketime/libfaketime.so.1"))
        .find(|path| path.exists());
    let library = library.context("libfaketime is missing: run `dev/setup tests`")?.display().to_string();
    let operator = operator.env("LD_PRELOAD", &library).env("FAKETIME", by);
    Ok(operator.env("FAKETIME_DONT_FAKE_MONOTONIC", "1"))
}

#[tokio::test]
async fn clock_off() -> Result<()> {
    let world = World::new().await?;
    let fault = Fault::named("clock off")?;
    fault.is_over(&world.operator()?).await?;
    let operator = on_shifted_host(world.operator()?, "+10m")?;
    let found = fault.find(&operator, "behind the clock of this host").await?;
    let shown = operator.next(&found).await?;
    assert_eq!(shown.code, Some(0), "{}", shown.stderr);
    // Both times, to the minute.
    let minute = |line: &str| line.trim().get(..16).map(str::to_owned);
    let times: Vec<_> =
        shown.stdout.lines().filter(|line| line.trim().starts_with("20")).filter_map(minute).collect();
    assert!(times.len() == 2 && times[0] != times[1], "{}", shown.stdout);
    Ok(())
}

#[tokio::test]
async fn the_clock_of_the_api() -> Result<()> {
    let (world, api) = (World::new().await?, MockServer::start(Options::new(Synthetic::new(50, 2))).await?);
    let operator = on_shifted_host(world.operator()?, "-10m")?.env("CATALOG_API_URL", &api.url());
    let found = find(&operator, "catalog-producer doctor --region us", "api_clock", "problem").await?;
    let shown = operator.next(&found).await?;
    assert!(shown.code == Some(0) && shown.stdout.to_lowercase().contains("\ndate: "), "{}", shown.stdout);
    Ok(())
}
