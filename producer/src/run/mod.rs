//! A run from cursor to cursor, without any I/O.

pub(crate) mod complete_since;
pub(crate) mod difference;
pub(crate) mod lifecycle;
pub(crate) mod page_writer;
pub(crate) mod plan;
pub(crate) mod records;
pub(crate) mod step;
