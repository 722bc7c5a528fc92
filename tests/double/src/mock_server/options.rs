//! How a mock server is set up.

use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::catalog::Catalog;
use super::memory::MemoryCatalog;
use super::recording::Recording;
use super::region::Region;

/// The catalog, the address and the behavior of a mock server.
pub struct Options {
    pub(super) catalog: Arc<dyn Catalog>,
    pub(super) region: Region,
    pub(super) listen: SocketAddr,
    pub(super) gzip: bool,
    pub(super) chunked: bool,
    pub(super) pretty: bool,
    pub(super) reorder: bool,
    pub(super) order_seed: u64,
    pub(super) latency: Duration,
    pub(super) tokens: Option<HashSet<String>>,
    pub(super) recording: Option<Recording>,
}

impl Options {
    /// Serves `catalog` as the US region on a free port of 127.0.0.1, without latency or tokens, in the form of the
    /// live API.
    #[must_use]
    pub fn new(catalog: impl Catalog) -> Self {
        Self::shared(Arc::new(catalog))
    }

    /// Like [`Options::new`], for a catalog that the caller may change.
    #[must_use]
    pub fn shared<C: Catalog>(catalog: Arc<C>) -> Self {
        Self {
            catalog,
            region: Region::Us,
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            gzip: true,
            chunked: true,
            pretty: true,
            reorder: true,
            order_seed: 0,
            latency: Duration::ZERO,
            tokens: None,
            recording: None,
        }
    }

    /// Plays a recording instead of a catalog. Gates work as usual. Faults are the recorded ones.
    #[must_use]
    pub fn playing(recording: Recording) -> Self {
        Self { recording: Some(recording), ..Self::new(MemoryCatalog::new()) }
    }

    /// The region that `X-Socrata-Region` names.
    #[must_use]
    pub fn region(self, region: Region) -> Self {
        Self { region, ..self }
    }

    /// The address to listen on; port 0 takes a free one.
    #[must_use]
    pub fn listen(self, listen: SocketAddr) -> Self {
        Self { listen, ..self }
    }

    /// Whether to compress answers if the client accepts it. On by default, as in the live API.
    #[must_use]
    pub fn gzip(self, gzip: bool) -> Self {
        Self { gzip, ..self }
    }

    /// Whether bodies are sent in chunks and without a `Content-Length`. On by default, as in the live API.
    #[must_use]
    pub fn chunked(self, chunked: bool) -> Self {
        Self { chunked, ..self }
    }

    /// Whether bodies have the live API's white space. On by default. Otherwise they are compact, and a
    /// result object keeps the white space that it has in the catalog.
    #[must_use]
    pub fn pretty(self, pretty: bool) -> Self {
        Self { pretty, ..self }
    }

    /// Whether the order of an asset's columns, `domain_tags` and `domain_metadata` changes with each crawl. A
    /// crawl begins with a request for `/domains`. On by default, as in the live API. Otherwise lists
    /// keep the order that they have in the catalog.
    #[must_use]
    pub fn reorder(self, reorder: bool) -> Self {
        Self { reorder, ..self }
    }

    /// The seed of the orders of lists, besides the asset's id and the number of the crawl. 0 by
    /// default. Two mock servers with one catalog need two seeds to serve it in different orders.
    #[must_use]
    pub fn order_seed(self, order_seed: u64) -> Self {
        Self { order_seed, ..self }
    }

    /// Serves result objects byte for byte as the catalog has them: neither pretty-printed nor reordered.
    #[must_use]
    pub fn verbatim(self) -> Self {
        self.pretty(false).reorder(false)
    }

    /// How long each answer takes before its first byte.
    #[must_use]
    pub fn latency(self, latency: Duration) -> Self {
        Self { latency, ..self }
    }

    /// The values of `X-App-Token` that are accepted; any other is a 403. Without this call every value
    /// is accepted. A request without a token is always accepted.
    #[must_use]
    pub fn tokens<T: Into<String>>(self, tokens: impl IntoIterator<Item = T>) -> Self {
        Self { tokens: Some(tokens.into_iter().map(Into::into).collect()), ..self }
    }
}
