//! What all layers share.

pub(crate) mod idspace;
pub(crate) mod outgoing;
