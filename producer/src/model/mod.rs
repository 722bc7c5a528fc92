//! Types that all layers share.

pub(crate) mod domains;
pub(crate) mod idspace;
pub(crate) mod outgoing;
pub(crate) mod page;
