//! The scenes. The measurements of a scene share tables and topics.

pub(crate) mod idle;
pub(crate) mod live;
pub(crate) mod million;
pub(crate) mod new_rows;
pub(crate) mod replays;
pub(crate) mod start;
pub(crate) mod unchanged;
