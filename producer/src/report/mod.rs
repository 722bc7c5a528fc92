//! The summary of a crawl.

pub(crate) mod missed;
pub(crate) mod scope;
pub(crate) mod summary;
