//! The progress of a crawl: counters, and the display that draws them.

pub(crate) mod counters;
pub(crate) mod display;
pub(crate) mod monitor;
