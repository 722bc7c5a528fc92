//! The effect of a record on the tables.

use catalog_shared::region::Region;

/// The effect of a record on its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It inserted the row.
    New,
    /// It changed the row.
    Changed,
    /// The row already had the same content.
    Unchanged,
    /// The row already had a newer version: the record is superseded.
    Older,
}

/// A record's effect, and the run that it counts for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Applied {
    pub(crate) region: Region,
    pub(crate) run: u32,
    pub(crate) offset: i64,
    pub(crate) effect: Effect,
}
