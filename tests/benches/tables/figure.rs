//! What was measured, and its share of what is possible.

use std::io::Write;

use anyhow::Result;

use crate::written::Written;

/// What a figure is held against.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    /// COPY on as many connections.
    Copy,
    /// A bare client that reads the topics.
    Read,
}

impl Limit {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Copy => "limit: COPY",
            Self::Read => "limit: bare client",
        }
    }
}

/// One thing measured once.
pub(crate) struct Figure {
    pub(crate) what: &'static str,
    pub(crate) connections: usize,
    pub(crate) records: u64,
    pub(crate) seconds: f64,
    pub(crate) written: Option<Written>,
    pub(crate) limit: Option<Limit>,
}

impl Figure {
    fn rate(&self) -> f64 {
        self.records as f64 / self.seconds
    }

    fn is(&self, limit: Limit, connections: usize) -> bool {
        self.what == limit.name() && (limit == Limit::Read || self.connections == connections)
    }
}

/// Prints of each thing the round with the median rate.
pub(crate) fn print(rounds: Vec<Vec<Figure>>) -> Result<()> {
    let figures = medians(rounds);
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{:20} {:>11} {:>8} {:>8} {:>10} {:>11} {:>11}  of its limit",
        "", "connections", "records", "seconds", "records/s", "WAL B each", "dead tuples"
    )?;
    for figure in &figures {
        let Figure { what, connections, records, seconds, written, limit } = figure;
        write!(out, "{what:20} {connections:>11} {records:>8} {seconds:>8.2} {:>10.0}", figure.rate())?;
        match written {
            Some(Written { wal, dead }) => {
                write!(out, " {:>11.0} {dead:>11}", *wal as f64 / *records as f64)?
            }
            None => write!(out, " {:>11} {:>11}", "", "")?,
        }
        let possible = |limit| figures.iter().find(|figure| figure.is(limit, *connections));
        match limit.and_then(possible) {
            Some(limit) => writeln!(out, "  {:.2}", figure.rate() / limit.rate())?,
            None => writeln!(out)?,
        }
    }
    Ok(())
}

/// All rounds measure the same things in the same order.
fn medians(rounds: Vec<Vec<Figure>>) -> Vec<Figure> {
    let mut rounds: Vec<_> = rounds.into_iter().map(Vec::into_iter).collect();
    let mut figures = Vec::new();
    loop {
        let mut same: Vec<Figure> = rounds.iter_mut().filter_map(Iterator::next).collect();
        if same.is_empty() {
            return figures;
        }
        same.sort_by(|one, other| one.rate().total_cmp(&other.rate()));
        figures.push(same.swap_remove(same.len() / 2));
    }
}
