//! Functions for benches and fuzz targets. They are not meant for other programs.

use catalog_shared::record::{Content, RecordHeaders, RecordType, Version};
use catalog_shared::region::Region;
use time::OffsetDateTime;

use crate::decode;
use crate::decode::dataset::DatasetRow;
use crate::decode::rows::{Rows, latest};
use crate::decode::scan::Scanned;
use crate::model::headers::RawHeaders;
use crate::model::record::Record;
use crate::model::topic::TopicKind;

/// The content hash of an asset by a scan. `None` if a scan is not enough, or the asset has another key.
#[must_use]
pub fn scan(value: &str, domain: &str, id: &str) -> Option<Vec<u8>> {
    Some(Scanned::in_one_pass(value, domain, id)?.content_hash.as_bytes().to_vec())
}

/// The content hash of an asset by a full decode. `None` if the value is not an asset with this key.
#[must_use]
pub fn decode(value: &str, domain: &str, id: &str) -> Option<Vec<u8>> {
    Some(DatasetRow::read(value, domain, id).ok()?.content_hash.as_bytes().to_vec())
}

/// Scans an asset and decodes its row, as for a new one. Returns the length of its canonical record; `None` if a scan is not
/// enough, or the asset has another key.
#[must_use]
pub fn decode_scanned(value: &str, domain: &str, id: &str) -> Option<usize> {
    let scanned = Scanned::in_one_pass(value, domain, id)?;
    Some(scanned.decode(value).ok()?.record.len())
}

/// Checks that a scan and a full decode of a value have the same result.
///
/// # Errors
/// Both results, if they differ.
pub fn compare(value: &str, domain: &str, id: &str) -> Result<(), String> {
    let row = DatasetRow::read(value, domain, id);
    let in_one_pass = Scanned::in_one_pass(value, domain, id);
    let is_same = in_one_pass.is_none_or(|scanned| scanned.decode(value) == row);
    let decoded = row.map(|DatasetRow { stats, content_hash, .. }| Scanned { stats, content_hash });
    if is_same && Scanned::read(value, domain, id) == decoded {
        return Ok(());
    }
    Err(format!("{:?} and not {decoded:?}", Scanned::read(value, domain, id)))
}

/// Records of the datasets topic, as received from Kafka.
pub struct Records(Vec<Record>);

impl Records {
    /// Records of the US region with these values, domains and ids.
    pub fn new<'a>(assets: impl IntoIterator<Item = (&'a str, &'a str, &'a str)>) -> Self {
        let content = Content::Record(RecordType::Datasets);
        let (version, observed_at) = (Version { run: 1, page: 1 }, OffsetDateTime::UNIX_EPOCH);
        let stamp = RecordHeaders { content, region: Region::Us, version, observed_at };
        let record = |(offset, (value, domain, id)): (i64, (&str, &str, &str))| Record {
            offset,
            stamp: Ok(stamp),
            origin: Some((Region::Us, version.run)),
            key: Some(format!("us/{domain}/{id}").into()),
            value: Some(value.to_owned().into()),
            headers: RawHeaders::default(),
            superseded: false,
        };
        Self((0..).zip(assets).map(record).collect())
    }

    /// Decodes the records to rows and sorts them by key. Returns the number of rows.
    #[must_use]
    pub fn batch(&self) -> usize {
        let decoded = decode::decode(TopicKind::Data(RecordType::Datasets), &self.0);
        let Rows::Datasets(rows) = decoded.rows else { return 0 };
        latest(rows, &mut Vec::new()).len()
    }
}
