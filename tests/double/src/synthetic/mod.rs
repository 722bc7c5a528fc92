//! The invented catalog: realistic, with the oddities of real ones, and free to distribute.
//!
//! Each asset is a function of the seed and of its index. Nothing is stored, so a catalog of a million
//! assets takes no more memory than one of ten, and two programs that are given the same numbers see the
//! same catalog. Governments, hosts and texts are invented. Hosts are under `.example` (RFC 2606).

mod asset;
mod columns;
mod ids;
mod json;
mod kinds;
mod labels;
mod object;
mod oddities;
mod portals;
mod sketch;
mod text;
mod times;
mod topics;

use std::ops::{Bound, ControlFlow};
use std::sync::OnceLock;

use bytes::Bytes;
use time::OffsetDateTime;

use crate::draw::{Aspect, Draw};
use crate::mock_server::{Asset, Catalog, DomainCount, Region};
pub use ids::{ID_SPACE, LETTERS, is_well_formed, spell};
pub use oddities::Oddity;
use portals::Portal;
use sketch::Sketch;

/// Domains that `/domains` lists with a count of 0. The last is a demonstration domain.
const EMPTY_DOMAINS: [&str; 4] = [
    "retired.northport.example",
    "staging.eastmere.example",
    "data.unfounded.example",
    "sales-demo.portal.example",
];

const SEED: u64 = 20_170_612;

/// A synthetic catalog.
#[derive(Debug)]
pub struct Synthetic {
    assets: u64,
    seed: u64,
    day: u32,
    /// In seconds since 1970, if some assets were created or changed recently.
    now: Option<i64>,
    /// The share of assets that were edited, and the revision that they were edited to.
    edits: (f64, u32),
    portals: Vec<Portal>,
    /// The share of assets on this portal and those before it, of 2^32.
    shares: Vec<u64>,
    counts: OnceLock<Vec<DomainCount>>,
}

impl Synthetic {
    /// A catalog with this many assets (at most [`ID_SPACE`]) on this many domains (at least one).
    #[must_use]
    pub fn new(assets: u64, domains: usize) -> Self {
        Self::in_region(Region::Us, assets, domains)
    }

    /// Like [`Synthetic::new`], with the places and the ids of a region. The two regions share nothing.
    #[must_use]
    pub fn in_region(region: Region, assets: u64, domains: usize) -> Self {
        let seed = SEED + u64::from(region == Region::Eu);
        let portals: Vec<_> = (0..domains.max(1)).map(|number| Portal::new(seed, number, region)).collect();
        let shares = shares(portals.len());
        Self {
            assets: assets.min(ID_SPACE),
            seed,
            day: 0,
            now: None,
            edits: (0.0, 0),
            portals,
            shares,
            counts: OnceLock::new(),
        }
    }

    /// The same catalog a number of days later: page views and downloads have moved and nothing else has.
    #[must_use]
    pub fn with_page_views_of(self, day: u32) -> Self {
        Self { day, ..self }
    }

    /// The same catalog with recent changes: some assets were created, and more were changed, in the weeks before `now`. All
    /// others are the same as without this. The latest of their dates is in June 2025.
    #[must_use]
    pub fn with_recent_changes(self, now: OffsetDateTime) -> Self {
        Self { now: Some(now.unix_timestamp()), ..self }
    }

    /// The same catalog after an edit of a share (0.0 to 1.0) of its assets: their description names the
    /// revision and their metadata's date is `revision` days after 30 June 2025. A greater share edits
    /// the same assets and more.
    #[must_use]
    pub fn with_edits(self, share: f64, revision: u32) -> Self {
        Self { edits: (share, revision), ..self }
    }

    /// The result object of the asset with this index, which counts from 0 in id order.
    #[must_use]
    pub fn object(&self, index: u64) -> Bytes {
        let mut object = Vec::new();
        Sketch::new(self, index).write_to(&mut object);
        object.into()
    }

    /// All result objects, in id order.
    pub fn objects(&self) -> impl Iterator<Item = Bytes> {
        (0..self.assets).map(|index| self.object(index))
    }

    /// The id of the asset with this index. Ids are spread over the whole of [`ID_SPACE`], each somewhere
    /// in an equal part of its own.
    #[must_use]
    pub fn id(&self, index: u64) -> String {
        let part = ID_SPACE / self.assets.max(1);
        spell(index * part + Draw::new(self.seed, index, Aspect::Id).below(part))
    }

    /// The index of the first asset whose id is at or beyond a bound, or the number of assets if there is none.
    /// The bound may be any text.
    #[must_use]
    pub fn first_from(&self, from: Bound<&str>) -> u64 {
        let is_before = |id: &str| match from {
            Bound::Unbounded => false,
            Bound::Included(bound) => id < bound,
            Bound::Excluded(bound) => id <= bound,
        };
        let (mut low, mut high) = (0, self.assets);
        while low < high {
            let middle = low + (high - low) / 2;
            if is_before(&self.id(middle)) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    fn portal(&self, index: u64) -> &Portal {
        &self.portals[self.portal_number(index)]
    }

    fn portal_number(&self, index: u64) -> usize {
        let drawn = Draw::new(self.seed, index, Aspect::Portal).below(1 << 32);
        self.shares.partition_point(|share| *share <= drawn).min(self.portals.len() - 1)
    }

    fn count_domains(&self) -> Vec<DomainCount> {
        let mut counts = vec![0; self.portals.len()];
        for index in 0..self.assets {
            counts[self.portal_number(index)] += 1;
        }
        let real = self.portals.iter().zip(counts);
        let real = real.map(|(portal, count)| DomainCount { domain: portal.host.clone(), count });
        let empty = EMPTY_DOMAINS.map(|domain| DomainCount { domain: domain.to_owned(), count: 0 });
        real.chain(empty).collect()
    }
}

impl Catalog for Synthetic {
    fn assets(&self) -> u64 {
        self.assets
    }

    fn scan(&self, from: Bound<&str>, visit: &mut dyn FnMut(&dyn Asset) -> ControlFlow<()>) {
        for index in self.first_from(from)..self.assets {
            if visit(&Sketch::new(self, index)).is_break() {
                return;
            }
        }
    }

    fn domains(&self) -> Vec<DomainCount> {
        self.counts.get_or_init(|| self.count_domains()).clone()
    }
}

/// Few domains are large and many are small: the first has about 18 times as many assets as the tenth.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most 2^32")]
fn shares(domains: usize) -> Vec<u64> {
    let weights: Vec<f64> = (1..=domains).map(|rank| (rank as f64).powf(-1.25)).collect();
    let total: f64 = weights.iter().sum();
    let mut sum = 0.0;
    let running = weights.iter().map(|weight| {
        sum += weight / total;
        (sum * (1_u64 << 32) as f64) as u64
    });
    running.collect()
}
