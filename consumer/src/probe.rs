//! What benches and fuzz targets call. It is no interface for anything else.

use crate::decode::dataset::DatasetRow;
use crate::decode::scan::Scanned;

/// The content hash of an asset, by one pass over it; none where that is not enough, or the key is another one.
#[must_use]
pub fn scan(value: &str, domain: &str, id: &str) -> Option<Vec<u8>> {
    Some(Scanned::in_one_pass(value, domain, id)?.content_hash.as_bytes().to_vec())
}

/// The content hash of an asset, by decoding all of its row; none where the value is no asset of this key.
#[must_use]
pub fn decode(value: &str, domain: &str, id: &str) -> Option<Vec<u8>> {
    Some(DatasetRow::read(value, domain, id).ok()?.content_hash.as_bytes().to_vec())
}

/// Shows where one pass and the full decode of a value differ.
///
/// # Errors
/// What each of them made of it.
pub fn compare(value: &str, domain: &str, id: &str) -> Result<(), String> {
    let decoded = DatasetRow::read(value, domain, id);
    let decoded = decoded.map(|DatasetRow { stats, content_hash, .. }| Scanned { stats, content_hash });
    let is_same = Scanned::in_one_pass(value, domain, id).is_none_or(|scanned| decoded == Ok(scanned));
    if is_same && Scanned::read(value, domain, id) == decoded {
        return Ok(());
    }
    Err(format!("{:?} and not {decoded:?}", Scanned::read(value, domain, id)))
}
