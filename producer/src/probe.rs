//! Entry points for benches and fuzz targets; not a public API.

use bytes::Bytes;

use crate::api::fast_parse;

/// Parses a page in one pass and returns its number of objects. `None` if the page needs the general parser.
#[must_use]
pub fn cut(page: &Bytes) -> Option<usize> {
    fast_parse::objects(page).map(|objects| objects.len())
}
