//! The row that a record is applied to, by the record's key and headers alone.

use std::borrow::Cow;

use catalog_shared::key::Key;
use catalog_shared::record::{Content, RecordHeaders, RecordType, Version};

use crate::decode::sanitize::sanitize_text;
use crate::decode::values::truncated;
use crate::model::record::Record;
use crate::model::topic::TopicKind;

/// A digest of a row's table and primary key. It identifies the row, because 128 bits of BLAKE3 don't collide by chance and
/// nobody can construct a collision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct RowId([u8; Self::LENGTH]);

impl RowId {
    /// The number of bytes of a digest.
    pub(crate) const LENGTH: usize = 16;

    pub(crate) const fn from_bytes(bytes: [u8; Self::LENGTH]) -> Self {
        Self(bytes)
    }

    /// The bytes, which are distributed evenly.
    pub(crate) const fn to_bytes(self) -> [u8; Self::LENGTH] {
        self.0
    }

    /// The row that a record of a topic with these headers and this key may become; `None` if it can't become a row, whatever
    /// its value is.
    fn find(topic: TopicKind, stamp: &RecordHeaders, key: &[u8]) -> Option<Self> {
        let RowKey { table, region, first, second } = RowKey::parse(stamp, key)?;
        if TopicKind::Data(table) != topic {
            return None;
        }
        let mut hasher = blake3::Hasher::new();
        // No name contains a NUL, and the second name is the last.
        for part in [table.name(), region, first, second.as_deref().unwrap_or_default()] {
            hasher.update(part.as_bytes()).update(&[0]);
        }
        let mut id = [0; Self::LENGTH];
        hasher.finalize_xof().fill(&mut id);
        Some(Self(id))
    }
}

/// What is known of a record without its value.
pub(crate) struct Head<'a> {
    /// The headers; `None` if they can't be read.
    pub(crate) stamp: Option<RecordHeaders>,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) has_value: bool,
}

/// What a record is applied to, if its value can be read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum RecordTarget {
    /// A row, and the record's version.
    Row(RowId, Version),
    /// The ledger.
    EndOfRun,
    /// The record becomes a dead letter, whatever its value is.
    Nothing,
}

impl<'a> Head<'a> {
    /// The head of a record.
    pub(crate) fn of(record: &'a Record) -> Self {
        let stamp = record.stamp.as_ref().ok().copied();
        Self { stamp, key: record.key.as_deref(), has_value: record.value.is_some() }
    }

    /// What a record of a topic is applied to.
    pub(crate) fn find_target(&self, topic: TopicKind) -> RecordTarget {
        let Self { stamp: Some(stamp), key: Some(key), has_value: true } = self else {
            return RecordTarget::Nothing;
        };
        if stamp.content == Content::EndRecord {
            let key = std::str::from_utf8(key).ok().and_then(|key| Key::parse(key, stamp));
            return if key.is_some() { RecordTarget::EndOfRun } else { RecordTarget::Nothing };
        }
        RowId::find(topic, stamp, key)
            .map_or(RecordTarget::Nothing, |row| RecordTarget::Row(row, stamp.version))
    }

    /// The row that a record of a topic is applied to.
    pub(crate) fn find_row(&self, topic: TopicKind) -> Option<RowId> {
        if let RecordTarget::Row(row, _) = self.find_target(topic) { Some(row) } else { None }
    }
}

/// The primary key of the row that a record is applied to, column by column; `None` if it is applied to no row.
pub(crate) fn row_key(record: &Record) -> Option<(RecordType, Vec<String>)> {
    let RowKey { table, region, first, second } =
        RowKey::parse(record.stamp.as_ref().ok()?, record.key.as_deref()?)?;
    let names = [Some(Cow::Borrowed(region)), Some(Cow::Borrowed(first)), second];
    Some((table, names.into_iter().flatten().map(Cow::into_owned).collect()))
}

struct RowKey<'a> {
    table: RecordType,
    region: &'static str,
    first: &'a str,
    second: Option<Cow<'a, str>>,
}

impl<'a> RowKey<'a> {
    fn parse(stamp: &RecordHeaders, key: &'a [u8]) -> Option<Self> {
        let Content::Record(table) = stamp.content else { return None };
        let (first, second) = match Key::parse(std::str::from_utf8(key).ok()?, stamp)? {
            Key::Dataset { domain, id } => (domain, Some(Cow::Borrowed(id))),
            Key::Domain(name) | Key::Host(name) => (name, None),
            Key::Agency { host, agency } => (host, Some(agency_name(agency))),
            Key::EndRecord { .. } => return None,
        };
        Some(Self { table, region: stamp.region.name(), first, second })
    }
}

/// The name of an agency in its row. Two names that are equal after that share a row. It has the newer version.
pub(crate) fn agency_name(agency: &str) -> Cow<'_, str> {
    match sanitize_text(agency) {
        Cow::Borrowed(name) => Cow::Borrowed(truncated(name)),
        Cow::Owned(name) => Cow::Owned(truncated(&name).to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use catalog_shared::region::Region;
    use rdkafka::message::OwnedHeaders;
    use time::OffsetDateTime;

    use super::*;

    fn id(topic: RecordType, kind: RecordType, region: Region, key: &str) -> Option<RowId> {
        let (content, version) = (Content::Record(kind), Version { run: 7, page: 1 });
        let stamp = RecordHeaders { content, region, version, observed_at: OffsetDateTime::UNIX_EPOCH };
        RowId::find(TopicKind::Data(topic), &stamp, key.as_bytes())
    }

    #[test]
    fn records_of_one_row_have_one_id_and_others_have_others() {
        let agency = |name: &str| {
            let key = format!("us/a.example/{name}");
            id(RecordType::Agencies, RecordType::Agencies, Region::Us, &key).unwrap()
        };
        let long = "x".repeat(3000);
        assert_eq!(agency("Parks\u{0}"), agency("Parks\u{fffd}"));
        assert_eq!(agency(&long), agency(&format!("{long}y")));
        assert_ne!(agency("Parks"), agency("Roads"));
        let host = |region, key| id(RecordType::Hosts, RecordType::Hosts, region, key);
        assert_ne!(host(Region::Us, "us/a.example"), host(Region::Eu, "eu/a.example"));
        let domain = id(RecordType::Domains, RecordType::Domains, Region::Us, "us/a.example");
        assert_ne!(host(Region::Us, "us/a.example"), domain);
    }

    #[test]
    fn a_record_that_can_not_become_a_row_has_no_id() {
        assert_eq!(id(RecordType::Hosts, RecordType::Domains, Region::Us, "us/a.example"), None);
        assert_eq!(id(RecordType::Hosts, RecordType::Hosts, Region::Us, "eu/a.example"), None);
        let stamp = Err("the header `run` is missing".to_owned());
        let record = Record { stamp, ..Record::read(0, None::<&OwnedHeaders>).unwrap() };
        assert_eq!(Head::of(&record).find_target(TopicKind::Data(RecordType::Hosts)), RecordTarget::Nothing);
    }
}
