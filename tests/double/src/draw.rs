//! Reproducible random values: every value is a function of the seed, the asset's index and the aspect
//! that it is drawn for, so that any asset can be generated without the earlier ones.

/// The aspect that a stream of draws is for. Each has its own stream, so a change to one does not change the others.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Aspect {
    Id = 1,
    Portal,
    Kind,
    Name,
    Times,
    Views,
    Parents,
    Text,
    Columns,
    Labels,
    People,
    Extras,
    Oddity,
    Edit,
    Recent,
    /// The order of lists, which the API's mock server draws.
    Order,
}

/// A stream of draws (SplitMix64, whose constants these are).
#[derive(Clone, Debug)]
pub(crate) struct Draw(u64);

impl Draw {
    pub(crate) fn new(seed: u64, index: u64, aspect: Aspect) -> Self {
        let start = mix(seed ^ mix(index.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (aspect as u64)));
        Self(start)
    }

    /// 64 even bits.
    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// From 0 up to and without `end`; 0 if that is 0.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(end)) >> 64) as u64
    }

    /// Like [`Draw::below`], for counts and indices.
    pub(crate) fn index(&mut self, end: usize) -> usize {
        usize::try_from(self.below(end as u64)).unwrap_or_default()
    }

    /// From `low` to `high`, both included.
    pub(crate) fn within(&mut self, low: usize, high: usize) -> usize {
        low + self.index(high - low + 1)
    }

    /// From 0.0 up to and without 1.0.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// True with this probability.
    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// From 0 to `most`, small far more often than large: the higher the power, the more so.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most `most`")]
    pub(crate) fn skewed(&mut self, most: u64, power: i32) -> u64 {
        (self.unit().powi(power) * most as f64) as u64
    }

    /// One of `choices`, which must not be empty.
    pub(crate) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.index(choices.len())]
    }
}

fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}
