//! The summary of a crawl, and what it shares with `status`.

pub(crate) mod findings;
pub(crate) mod missed;
pub(crate) mod scope;
pub(crate) mod summary;
