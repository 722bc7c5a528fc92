//! The quick way to read an asset: one pass over its bytes finds all that the narrow row has. The wide row is decoded
//! only for assets whose content is not stored yet.

use serde::de::DeserializeSeed;

use crate::decode::content_hash::ContentHash;
use crate::decode::dataset::{DatasetError, DatasetRow, Stats};
use crate::decode::place::Place;
use crate::decode::visit::{Pass, Value};

/// What one pass finds in an asset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scanned {
    pub(crate) stats: Stats,
    /// Equal for two assets if and only if their rows are, stats left out.
    pub(crate) content_hash: ContentHash,
}

impl Scanned {
    /// Scans the object of a key. What one pass can't judge is decoded whole: names that repeat, fractions, moving values
    /// that are no numbers, and what PostgreSQL can't store.
    ///
    /// # Errors
    /// As [`DatasetRow::read`].
    pub(crate) fn read(value: &str, domain: &str, id: &str) -> Result<Self, DatasetError> {
        if let Some(scanned) = Self::in_one_pass(value, domain, id) {
            return Ok(scanned);
        }
        let DatasetRow { stats, content_hash, .. } = DatasetRow::read(value, domain, id)?;
        Ok(Self { stats, content_hash })
    }

    pub(crate) fn in_one_pass(value: &str, domain: &str, id: &str) -> Option<Self> {
        let mut pass = Pass::of_asset(domain, id);
        let digest = parse(value, &mut pass).ok()?;
        let content_hash = ContentHash::of(digest);
        (pass.agrees == (true, true)).then_some(Self { stats: pass.stats, content_hash })
    }
}

/// The digest of a canonical record.
///
/// # Errors
/// When the text is not JSON.
pub(super) fn digest(record: &str) -> serde_json::Result<u128> {
    parse(record, &mut Pass::of_canonical(false)).or_else(|_| parse(record, &mut Pass::of_canonical(true)))
}

fn parse(text: &str, pass: &mut Pass<'_>) -> serde_json::Result<u128> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let digest = Value { pass, place: Place::Top }.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(digest.unwrap_or_default())
}
