//! A mock server of the Discovery API: the rules of `api.us.socrata.com` over a catalog that a test chooses.
//!
//! The rules follow the public source of the server (of December 2017) and its OpenAPI file (of January
//! 2024): paging, the deep scroll, saturation, what is a 400, a 404 or a 500. On top of them the mock server
//! can be set up to misbehave ([`Fault`]) and to hold requests for a test ([`Gate`]), and
//! it logs the requests that it received ([`ReceivedRequest`]).
//!
//! Instead of a catalog it can play a [`Recording`]: exchanges that the producer recorded.
//!
//! By default its answers have the form of recorded ones: pretty-printed, compressed with gzip, sent in chunks,
//! and with a different order of an asset's columns, tags and metadata in each crawl. [`Options`] turns each off.
//!
//! It differs from the API in two ways. Results that are equal in an `order` come in the same order each time,
//! while the API promises none. And a parameter that only the API supports is a 501.
//!
//! ```no_run
//! # async fn example() -> std::io::Result<()> {
//! use catalog_tests::mock_server::{MockServer, Fault, Matcher, Options};
//! use catalog_tests::synthetic::Synthetic;
//!
//! let api = MockServer::start(Options::new(Synthetic::new(5_000, 40))).await?;
//! api.fail_once(Matcher::pages().nth(3), Fault::status(503));
//! let mut gate = api.hold(Matcher::pages().nth(5));
//! // ... start a crawl of api.url() ...
//! let held = gate.arrived().await;
//! assert_eq!(held.status, None);
//! gate.release();
//! # Ok(())
//! # }
//! ```

mod answer;
mod asset;
mod catalog;
mod faults;
mod form;
mod gates;
mod line;
mod log;
mod matcher;
mod memory;
mod options;
mod order;
mod playback;
mod pretty;
mod query;
mod recording;
mod region;
mod response;
mod search;
mod server;
mod tokens;

pub use catalog::{Asset, Audience, Catalog, DomainCount};
pub use faults::{Fault, Injected};
pub use gates::Gate;
pub use log::ReceivedRequest;
pub use matcher::Matcher;
pub use memory::MemoryCatalog;
pub use options::Options;
pub use recording::{Ended, Recorded, Recording, Request};
pub use region::Region;
pub use server::MockServer;
