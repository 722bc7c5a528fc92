//! A double of the Discovery API: the rules of `api.us.socrata.com` over a catalog that a test chooses.
//!
//! The rules follow the public source of the server (of December 2017) and its OpenAPI file (of January
//! 2024): paging, the deep scroll, saturation, what is a 400, a 404 or a 500. On top of them the double
//! can be told to misbehave ([`Fault`]), to hold requests until a test has looked around ([`Gate`]), and
//! it keeps a log of what it was asked ([`Asked`]).
//!
//! In place of a catalog it can play a [`Cassette`]: exchanges that the producer recorded.
//!
//! By default its answers have the form of recorded ones: pretty-printed, compressed with gzip, sent in chunks,
//! and with an asset's columns, tags and metadata in another order in each crawl. [`Options`] turns each off.
//!
//! Two things are its own. Results that an `order` does not tell apart come in the same order each time,
//! where the API promises none. And a parameter that the API knows and the double does not is a 501.
//!
//! ```no_run
//! # async fn example() -> std::io::Result<()> {
//! use catalog_tests::double::{Double, Fault, Matcher, Options};
//! use catalog_tests::synthetic::Synthetic;
//!
//! let double = Double::start(Options::new(Synthetic::new(5_000, 40))).await?;
//! double.fail_once(Matcher::pages().nth(3), Fault::status(503));
//! let mut gate = double.hold(Matcher::pages().nth(5));
//! // ... start a crawl of double.url() ...
//! let held = gate.arrived().await;
//! assert_eq!(held.status, None);
//! gate.release();
//! # Ok(())
//! # }
//! ```

mod answer;
mod asset;
mod cassette;
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
mod region;
mod search;
mod server;
mod tokens;

pub use cassette::{Cassette, Ended, Recorded, Request};
pub use catalog::{Asset, Audience, Catalog, DomainCount};
pub use faults::{Fault, Injected};
pub use gates::Gate;
pub use log::Asked;
pub use matcher::Matcher;
pub use memory::MemoryCatalog;
pub use options::Options;
pub use region::Region;
pub use server::Double;
