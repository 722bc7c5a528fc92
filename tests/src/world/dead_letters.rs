//! Records that consumers can't apply.

use anyhow::Result;

use super::World;
use crate::mock_server::{MemoryCatalog, MockServer, Options};
use crate::synthetic::Synthetic;

/// The headers of a record of run 2 of the region `us`, as a producer would send them.
#[must_use]
pub const fn record_headers(kind: &str) -> [(&str, &str); 6] {
    [
        ("schema", "1"),
        ("kind", kind),
        ("region", "us"),
        ("run", "2"),
        ("page", "1"),
        ("observed_at", "2026-01-01T00:00:00Z"),
    ]
}

impl World {
    /// A world after a crawl of 60 assets and of one object without an id.
    ///
    /// # Errors
    /// Same as [`World::new`] and [`World::crawl`].
    pub async fn crawled_with_dead_letter() -> Result<(Self, MockServer)> {
        let world = Self::new().await?;
        let catalog = MemoryCatalog::from_objects(Synthetic::new(60, 2).objects())?;
        catalog.put_as("5zzz-zzzz", "a.example", r#"{"resource":{"name":"no id"}}"#);
        let api = MockServer::start(Options::new(catalog)).await?;
        world.crawl(&api)?.succeed().await?;
        Ok((world, api))
    }
}
