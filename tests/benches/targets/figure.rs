//! The figures of a run: measurements, their limits, and targets.

use serde::Serialize;

/// A number of records or rows, and the time that they took.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Figure {
    pub(crate) records: u64,
    pub(crate) seconds: f64,
}

impl Figure {
    /// Records per second.
    pub(crate) fn rate(self) -> f64 {
        self.records as f64 / self.seconds
    }

    pub(crate) fn and(self, other: Self) -> Self {
        Self { records: self.records + other.records, seconds: self.seconds + other.seconds }
    }
}

/// The values of a repeated measurement.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Spread {
    pub(crate) runs: usize,
    pub(crate) min: f64,
    pub(crate) median: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// The spread of the values. None if there are no values.
    pub(crate) fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        Some(Self { runs: sorted.len(), min, median: quantile(&sorted, 0.5), max })
    }
}

/// A quantile (0 to 1) of sorted values, interpolated between neighbours. 0 if there are no values.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place in a list")]
pub(crate) fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share * sorted.len().saturating_sub(1) as f64;
    let (below, above) = (place.floor() as usize, place.ceil() as usize);
    match (sorted.get(below), sorted.get(above)) {
        (Some(low), Some(high)) => low + (high - low) * place.fract(),
        _ => 0.0,
    }
}

/// The unit of values.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) enum Unit {
    #[serde(rename = "records/s")]
    RecordsPerSecond,
    #[serde(rename = "s")]
    Seconds,
    #[serde(rename = "ms")]
    Milliseconds,
    #[serde(rename = "bytes")]
    Bytes,
    #[serde(rename = "MiB")]
    Mebibytes,
    #[serde(rename = "%")]
    Percent,
    #[serde(rename = "rows")]
    Rows,
}

/// The statistic that is compared with the bound of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Of {
    /// The median ratio of our value to the limit.
    Ratio,
    /// Our median.
    Ours,
    /// Our largest value.
    Largest,
}

/// A bound.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

/// A target, and whether it was met.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Target {
    pub(crate) of: Of,
    #[serde(flatten)]
    pub(crate) bound: Bound,
    pub(crate) met: bool,
}

/// The limit that our values are compared with.
#[derive(Debug, Serialize)]
pub(crate) struct Limit {
    pub(crate) name: &'static str,
    #[serde(flatten)]
    pub(crate) spread: Spread,
}

/// A line of the table.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) unit: Unit,
    pub(crate) ours: Spread,
    pub(crate) limit: Option<Limit>,
    /// The spread of the ratios of the rounds. Our measurement and that of the limit alternate.
    pub(crate) ratio: Option<Spread>,
    pub(crate) targets: Vec<Target>,
    pub(crate) note: Option<String>,
    #[serde(skip)]
    values: Vec<f64>,
}

impl Row {
    /// A line with the values of all rounds. None if nothing was measured.
    pub(crate) fn new(what: impl Into<String>, unit: Unit, values: Vec<f64>) -> Option<Self> {
        let ours = Spread::of(&values)?;
        let (limit, ratio, targets, note) = (None, None, Vec::new(), None);
        Some(Self { what: what.into(), unit, ours, limit, ratio, targets, note, values })
    }

    /// Adds the limit, measured in the same rounds.
    pub(crate) fn against(mut self, name: &'static str, values: &[f64]) -> Self {
        self.limit = Spread::of(values).map(|spread| Limit { name, spread });
        let ratios: Vec<f64> = self.values.iter().zip(values).map(|(ours, limit)| ours / limit).collect();
        self.ratio = Spread::of(&ratios);
        self
    }

    /// Adds a target. For a target of the ratio, the limit must be added first.
    pub(crate) fn target(mut self, of: Of, bound: Bound) -> Self {
        let value = match of {
            Of::Ratio => self.ratio.map(|ratio| ratio.median),
            Of::Ours => Some(self.ours.median),
            Of::Largest => Some(self.ours.max),
        };
        let met = value.is_some_and(|value| match bound {
            Bound::AtLeast(least) => value >= least,
            Bound::AtMost(most) => value <= most,
        });
        self.targets.push(Target { of, bound, met });
        self
    }

    /// Adds a remark about the values.
    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.note = Some(note.into());
        self
    }
}
