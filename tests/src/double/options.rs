//! How a double is set up.

use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::cassette::Cassette;
use super::catalog::Catalog;
use super::memory::MemoryCatalog;
use super::region::Region;

/// What a double serves, where, and under which conditions.
pub struct Options {
    pub(super) catalog: Arc<dyn Catalog>,
    pub(super) region: Region,
    pub(super) listen: SocketAddr,
    pub(super) gzip: bool,
    pub(super) latency: Duration,
    pub(super) tokens: Option<HashSet<String>>,
    pub(super) cassette: Option<Cassette>,
}

impl Options {
    /// Serves `catalog` as the US region on a free port of 127.0.0.1, at once, to anybody, uncompressed.
    #[must_use]
    pub fn new(catalog: impl Catalog) -> Self {
        Self::shared(Arc::new(catalog))
    }

    /// As [`Options::new`], for a catalog that the caller goes on to change.
    #[must_use]
    pub fn shared<C: Catalog>(catalog: Arc<C>) -> Self {
        Self {
            catalog,
            region: Region::Us,
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            gzip: false,
            latency: Duration::ZERO,
            tokens: None,
            cassette: None,
        }
    }

    /// Plays a cassette in place of a catalog. Gates hold requests as ever; faults are those recorded.
    #[must_use]
    pub fn playing(cassette: Cassette) -> Self {
        Self { cassette: Some(cassette), ..Self::new(MemoryCatalog::new()) }
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

    /// Whether to compress what a client accepts compressed, as the real API does. Off at first, so
    /// that measurements of a crawl are not of the double's gzip.
    #[must_use]
    pub fn gzip(self, gzip: bool) -> Self {
        Self { gzip, ..self }
    }

    /// How long each answer takes before its first byte.
    #[must_use]
    pub fn latency(self, latency: Duration) -> Self {
        Self { latency, ..self }
    }

    /// The values of `X-App-Token` that are accepted; any other is a 403. Without this call every value
    /// is accepted. A request without a token is always welcome.
    #[must_use]
    pub fn tokens<T: Into<String>>(self, tokens: impl IntoIterator<Item = T>) -> Self {
        Self { tokens: Some(tokens.into_iter().map(Into::into).collect()), ..self }
    }
}
