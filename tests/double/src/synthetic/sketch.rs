//! The properties of one asset before it is written. All are drawn from the seed and the index.

use std::cell::OnceCell;

use super::Synthetic;
use super::kinds::Kind;
use super::oddities::Oddity;
use super::portals::Portal;
use super::text;
use super::times::Times;
use super::topics::{TOPICS, Topic};
use crate::draw::{Aspect, Draw};

/// The most downloads of the recordings.
const MOST_DOWNLOADS: u64 = 132_179_580;

/// One asset of a synthetic catalog.
pub(super) struct Sketch<'a> {
    catalog: &'a Synthetic,
    index: u64,
    pub(super) id: String,
    pub(super) kind: Kind,
    pub(super) portal: &'a Portal,
    pub(super) topic: &'static Topic,
    /// The index of its topic.
    pub(super) topic_number: usize,
    /// One bit per oddity.
    oddities: u32,
    name: OnceCell<String>,
}

/// Page views, in visits.
pub(super) struct PageViews {
    pub(super) last_week: u64,
    pub(super) last_month: u64,
    pub(super) total: u64,
}

impl<'a> Sketch<'a> {
    pub(super) fn new(catalog: &'a Synthetic, index: u64) -> Self {
        let oddities = oddities(catalog, index);
        let kind = match oddities {
            bits if bits & bit(Oddity::ManyColumns) != 0 => Kind::dataset(),
            bits if bits & bit(Oddity::NewType) != 0 => Kind::unheard_of(),
            _ => Kind::drawn(&mut Draw::new(catalog.seed, index, Aspect::Kind)),
        };
        let topic_number = Draw::new(catalog.seed, index, Aspect::Name).index(TOPICS.len());
        let (id, portal) = (catalog.id(index), catalog.portal(index));
        let topic = &TOPICS[topic_number];
        Self { catalog, index, id, kind, portal, topic, topic_number, oddities, name: OnceCell::new() }
    }

    /// Its own stream of draws.
    pub(super) fn draw(&self, aspect: Aspect) -> Draw {
        Draw::new(self.catalog.seed, self.index, aspect)
    }

    pub(super) fn has(&self, oddity: Oddity) -> bool {
        self.oddities & bit(oddity) != 0
    }

    pub(super) fn name(&self) -> &str {
        self.name.get_or_init(|| {
            let mut draw = self.draw(Aspect::Name);
            // The first draw was for the topic.
            draw.bits();
            text::name(&mut draw, self.topic)
        })
    }

    /// The revision that it was edited to, if it was.
    pub(super) fn edit(&self) -> Option<u32> {
        let (share, revision) = self.catalog.edits;
        self.draw(Aspect::Edit).chance(share).then_some(revision)
    }

    pub(super) fn times(&self) -> Times {
        let edit = self.edit();
        let times = Times::drawn(&mut self.draw(Aspect::Times), self.has(Oddity::OwnUpdate), edit);
        match self.catalog.now {
            Some(now) if edit.is_none() && self.is_kept_up() => {
                times.with_recent(&mut self.draw(Aspect::Recent), now)
            }
            _ => times,
        }
    }

    /// Whether its portal is in use. One in ten is not, as in the real catalog.
    fn is_kept_up(&self) -> bool {
        self.catalog.portal_number(self.index) % 10 != 9
    }

    pub(super) fn page_views(&self) -> Option<PageViews> {
        if self.has(Oddity::NoPageViews) {
            return None;
        }
        let mut draw = self.draw(Aspect::Views);
        let base = draw.skewed(2_000_000, 13);
        let daily = 1 + base / 900;
        let total = base + daily * u64::from(self.catalog.day);
        let last_month = (30 * daily).min(total);
        Some(PageViews { last_week: (7 * daily).min(last_month), last_month, total })
    }

    pub(super) fn downloads(&self) -> Option<u64> {
        if self.has(Oddity::NullDownloads) {
            return None;
        }
        let mut draw = self.draw(Aspect::Views);
        // The first draw was for the views.
        draw.bits();
        let base = if self.has(Oddity::ManyDownloads) { MOST_DOWNLOADS } else { draw.skewed(500_000, 13) };
        Some(base + u64::from(self.catalog.day) * (base / 2_000))
    }

    /// The assets from which it is derived, on its own portal if a few draws find one there.
    pub(super) fn parents(&self) -> Option<String> {
        if !self.kind.derived {
            return None;
        }
        let mut draw = self.draw(Aspect::Parents);
        let drawn: Vec<u64> = (0..8).map(|_| draw.below(self.catalog.assets)).collect();
        let near = drawn.iter().find(|index| self.catalog.portal(**index).host == self.portal.host);
        near.or(drawn.first()).map(|index| self.catalog.id(*index))
    }
}

fn bit(oddity: Oddity) -> u32 {
    1 << oddity as u32
}

fn oddities(catalog: &Synthetic, index: u64) -> u32 {
    let certain = Oddity::at(index, catalog.assets).map_or(0, bit);
    let mut draw = Draw::new(catalog.seed, index, Aspect::Oddity);
    let by_chance = Oddity::ALL.into_iter().filter(|oddity| draw.chance(oddity.share()));
    match by_chance.fold(certain, |bits, oddity| bits | bit(oddity)) {
        // An empty text must not hide the oddity of an asset.
        bits if certain != 0 && certain != bit(Oddity::EmptyDescription) => {
            bits & !bit(Oddity::EmptyDescription)
        }
        bits => bits,
    }
}
