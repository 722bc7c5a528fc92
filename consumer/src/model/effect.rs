//! What became of a record in the tables.

use catalog_shared::region::Region;

/// What a record became.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It made a row.
    New,
    /// It changed a row.
    Changed,
    /// Its row held the same already.
    Unchanged,
    /// A newer version had overtaken it.
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
