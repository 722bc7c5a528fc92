//! The progress of a run.

use catalog_shared::cursor::Cursor;

use crate::progress::display::Total;
use crate::run::lifecycle;

/// The progress that a cursor shows.
pub(super) fn total(cursor: &Cursor) -> Total {
    let expected = lifecycle::expected_objects(cursor);
    Total { pages: cursor.next_page, objects: cursor.objects, expected }
}
