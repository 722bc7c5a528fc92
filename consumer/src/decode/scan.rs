//! Scans an asset: one pass over its bytes reads the stats and computes the content hash. Only assets whose content is
//! not stored yet are decoded in full.

use crate::decode::content_hash::ContentHash;
use crate::decode::dataset::{DatasetError, DatasetRow};
use crate::decode::one_pass;
use crate::decode::stats::Stats;
use crate::decode::visit::Pass;

/// The result of scanning an asset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scanned {
    pub(crate) stats: Stats,
    /// Two assets have the same hash if and only if their rows in `socrata_datasets` are equal.
    pub(crate) content_hash: ContentHash,
}

impl Scanned {
    /// Scans the asset with this key. Falls back to a full decode for repeated names, fractions, stats that are not
    /// numbers, and text that PostgreSQL can't store.
    ///
    /// # Errors
    /// Same as [`DatasetRow::read`].
    pub(crate) fn read(value: &str, domain: &str, id: &str) -> Result<Self, DatasetError> {
        Self::in_one_pass(value, domain, id).map_or_else(|| Self::by_decoding(value, domain, id), Ok)
    }

    /// The result of a full decode.
    ///
    /// # Errors
    /// Same as [`DatasetRow::read`].
    pub(super) fn by_decoding(value: &str, domain: &str, id: &str) -> Result<Self, DatasetError> {
        let DatasetRow { stats, content_hash, .. } = DatasetRow::read(value, domain, id)?;
        Ok(Self { stats, content_hash })
    }

    /// The result of one pass. `None` if it is not enough, or the asset has another key.
    pub(crate) fn in_one_pass(value: &str, domain: &str, id: &str) -> Option<Self> {
        let mut pass = Pass::of_asset(domain, id);
        let digest = one_pass::digest(value, &mut pass).ok()?;
        let content_hash = ContentHash::of(digest);
        (pass.matches == (true, true)).then_some(Self { stats: pass.stats, content_hash })
    }

    /// The row of the asset, for which one pass was enough.
    ///
    /// # Errors
    /// If the value is not a JSON object.
    pub(crate) fn decode(self, value: &str) -> Result<DatasetRow, DatasetError> {
        DatasetRow::with_scanned(value, self.stats, self.content_hash)
    }
}
