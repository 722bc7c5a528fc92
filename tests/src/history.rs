//! A catalog that changes from crawl to crawl, and the tables that result.

use std::sync::Arc;

use anyhow::{Context, Result};
use bytes::Bytes;
use serde_json::Value;

use crate::mock_server::{MemoryCatalog, MockServer, Options};
use crate::synthetic::Synthetic;
use crate::world::World;

/// A world with tables, and a catalog with this many assets and domains that was crawled once. No consumer has run yet.
///
/// # Errors
/// If the services are unreachable, or the crawl fails.
pub async fn crawled_once(assets: u64, domains: usize) -> Result<(World, MockServer)> {
    let world = World::new().await?;
    world.migrate().await?;
    let api = MockServer::start(Options::new(Synthetic::new(assets, domains))).await?;
    world.crawl(&api)?.succeed().await?;
    Ok((world, api))
}

/// A world whose catalog changes.
pub struct History {
    /// The world.
    pub world: World,
    /// The catalog.
    pub catalog: Arc<MemoryCatalog>,
    /// The mock server that serves it.
    pub api: MockServer,
}

impl History {
    /// A catalog with this many assets per domain, without a crawl.
    ///
    /// # Errors
    /// If the services are unreachable.
    pub async fn new(domains: &[(&str, usize)]) -> Result<Self> {
        let total: usize = domains.iter().map(|(_, assets)| assets).sum();
        let places = domains.iter().flat_map(|(domain, assets)| std::iter::repeat_n(domain, *assets));
        let catalog = MemoryCatalog::new();
        for (object, domain) in Synthetic::new(total as u64, 1).objects().zip(places) {
            catalog.put(moved(&object, domain)?)?;
        }
        let catalog = Arc::new(catalog);
        let api = MockServer::start(Options::shared(Arc::clone(&catalog))).await?;
        Ok(Self { world: World::new().await?, catalog, api })
    }

    /// Crawls with these flags, applies what was published, and returns the consumer's summary.
    ///
    /// # Errors
    /// If either program fails.
    pub async fn run(&self, flags: &[&str]) -> Result<Value> {
        self.crawl(flags).await?;
        self.world.consume()?.succeed().await?.summary()
    }

    /// Crawls with these flags.
    ///
    /// # Errors
    /// If the producer fails.
    pub async fn crawl(&self, flags: &[&str]) -> Result<()> {
        self.world.crawl(&self.api)?.args(flags.iter().copied()).succeed().await?;
        Ok(())
    }

    /// Removes the first `assets` assets of a domain from the catalog. Returns them in id order.
    ///
    /// # Errors
    /// If an object is not JSON.
    pub fn take(&self, domain: &str, assets: usize) -> Result<Vec<Taken>> {
        let mut taken = Vec::new();
        for object in self.catalog.objects() {
            let value: Value = serde_json::from_slice(&object)?;
            if value["metadata"]["domain"] == domain && taken.len() < assets {
                let id = value["resource"]["id"].as_str().context("an asset has an id")?.to_owned();
                self.catalog.remove(&id);
                taken.push(Taken { id, object });
            }
        }
        Ok(taken)
    }

    /// Runs and their states.
    ///
    /// # Errors
    /// PostgreSQL's error.
    pub async fn states(&self) -> Result<Vec<(i64, String)>> {
        let states = "select run, state from runs order by run";
        Ok(sqlx::query_as(states).fetch_all(self.world.pool()).await?)
    }

    /// The ids of retired assets, each with the run that retired it.
    ///
    /// # Errors
    /// PostgreSQL's error.
    pub async fn retired(&self) -> Result<Vec<(String, i64)>> {
        let retired = "select id, run from socrata_datasets join runs on ended_at = retired_at order by id";
        Ok(sqlx::query_as(retired).fetch_all(self.world.pool()).await?)
    }

    /// Decides about a run and returns the command's answer.
    ///
    /// # Errors
    /// If the command fails.
    pub async fn decide(&self, decision: &str, run: &str) -> Result<Value> {
        self.world.runs([decision, "--region", "us", "--run", run, "--yes"])?.succeed().await?.summary()
    }
}

/// An asset that was removed.
#[derive(Clone, Debug)]
pub struct Taken {
    /// Its id.
    pub id: String,
    /// The served object.
    pub object: Bytes,
}

/// The object on another domain.
fn moved(object: &Bytes, domain: &str) -> Result<String> {
    let mut value: Value = serde_json::from_slice(object)?;
    value["metadata"]["domain"] = domain.into();
    let id = value["resource"]["id"].as_str().context("an asset has an id")?;
    value["permalink"] = format!("https://{domain}/d/{id}").into();
    Ok(value.to_string())
}

/// The ids, each with this run.
#[must_use]
pub fn all_at(taken: &[Taken], run: i64) -> Vec<(String, i64)> {
    taken.iter().map(|asset| (asset.id.clone(), run)).collect()
}
