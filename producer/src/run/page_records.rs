//! The records of one page. A record that is too large becomes a dead letter.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use catalog_shared::events;
use catalog_shared::key::{Key, is_name};
use catalog_shared::missed::Missed;
use catalog_shared::partition;
use catalog_shared::record::{Content, RecordHeaders, RecordType, Version};
use catalog_shared::region::Region;
use rdkafka::message::{Header, OwnedHeaders};
use time::OffsetDateTime;

use crate::model::outgoing::Outgoing;
use crate::model::page::Object;
use catalog_shared::topic_setup::MESSAGE_BYTES;

/// The largest overhead of a record besides key and value, in bytes: headers, and the frame of a batch of one.
const OVERHEAD: usize = 1024;
/// How much of a key is logged, in bytes.
const LOGGED_KEY: usize = 600;
/// How much of an oversized value its dead letter contains, in bytes.
const HEAD: usize = 64 * 1024;

/// The topic of a record type.
pub(crate) struct Route {
    pub(crate) topic: Arc<str>,
    pub(crate) partitions: i32,
}

/// The records of one page, and what the cursor counts of them.
#[derive(Default)]
pub(crate) struct PageRecords {
    pub(crate) outgoing: Vec<Outgoing>,
    /// The type and partition of each record except dead letters.
    pub(crate) published: Vec<(RecordType, i32)>,
    /// The number of assets of each domain.
    pub(crate) seen: BTreeMap<String, u64>,
    /// Objects and entries that did not become records.
    pub(crate) missed: Missed,
}

/// Notes what identifies an object that did not become a record: its id, which may also be in the permalink, or else its domain.
fn identify(missed: &mut Missed, object: &Object) {
    let domain = object.domain.as_ref().filter(|domain| is_name(domain));
    match (object.id.as_ref().or(object.link_id.as_ref()), domain) {
        (Some(id), _) => missed.unread_ids.push(id.clone()),
        (None, Some(domain)) => *missed.unkeyed_by.entry(domain.clone()).or_default() += 1,
        (None, None) => {}
    }
}

/// Collects the records of one page. Records of one type share their headers.
pub(crate) struct PageWriter<'a> {
    pub(crate) region: Region,
    routes: &'a BTreeMap<RecordType, Route>,
    headers: BTreeMap<RecordType, Arc<OwnedHeaders>>,
    stamp: RecordHeaders,
    dead_letters: Arc<str>,
    pub(crate) records: PageRecords,
}

impl<'a> PageWriter<'a> {
    pub(crate) fn new(
        region: Region,
        routes: &'a BTreeMap<RecordType, Route>,
        dead_letters: &Arc<str>,
        version: Version,
        observed_at: OffsetDateTime,
    ) -> Self {
        let stamp =
            RecordHeaders { content: Content::Record(RecordType::Datasets), region, version, observed_at };
        let headers =
            |kind| (kind, RecordHeaders { content: Content::Record(kind), ..stamp }.to_headers().into());
        let headers = RecordType::ALL.into_iter().map(headers).collect();
        let dead_letters = Arc::clone(dead_letters);
        Self { region, routes, headers, stamp, dead_letters, records: PageRecords::default() }
    }

    /// Adds a record of an object, unless the run doesn't publish its type. Returns whether it fits into the topic; if
    /// not, it becomes a dead letter.
    pub(crate) fn add_from(&mut self, object: &Object, kind: RecordType, key: Key<'_>, value: Bytes) -> bool {
        let fits = self.add(kind, key, value);
        if !fits {
            identify(&mut self.records.missed, object);
        }
        fits
    }

    /// Adds a record as [`PageWriter::add_from`] does, without an object to count if it is too large.
    pub(crate) fn add(&mut self, kind: RecordType, key: Key<'_>, value: Bytes) -> bool {
        let (Some(route), Some(headers)) = (self.routes.get(&kind), self.headers.get(&kind)) else {
            return true;
        };
        let key = key.to_text(self.region);
        let partition = partition::of_key(key.as_bytes(), route.partitions);
        let (topic, headers) = (Arc::clone(&route.topic), Arc::clone(headers));
        if !fits(&key, &value) {
            self.add_too_large(&key, value);
            return false;
        }
        self.records.outgoing.push(Outgoing { topic, partition, key, value, headers });
        self.records.published.push((kind, partition));
        true
    }

    fn add_too_large(&mut self, key: &str, value: Bytes) {
        let (key, bytes) = (&key[..key.floor_char_boundary(LOGGED_KEY)], value.len());
        tracing::warn!(
            event = events::RECORD_TOO_LARGE,
            key,
            bytes,
            "record too large for its topic, sending it to the dead letters"
        );
        self.add_dead(value, &format!("too large for a record: {key}, {bytes} bytes"));
    }

    /// Adds a dead letter with a reason. A value that is too large for any topic is truncated.
    pub(crate) fn add_dead(&mut self, value: Bytes, reason: &str) {
        let headers = self.stamp.to_headers().insert(Header { key: "reason", value: Some(reason) }).into();
        let value = if fits("", &value) { value } else { value.slice(..HEAD) };
        let (topic, key) = (Arc::clone(&self.dead_letters), String::new());
        self.records.outgoing.push(Outgoing { topic, partition: 0, key, value, headers });
        self.records.missed.unkeyed += 1;
    }

    /// Adds the dead letter of an object, with a reason.
    pub(crate) fn add_missed(&mut self, object: &Object, reason: &str) {
        self.add_dead(object.raw.clone(), reason);
        identify(&mut self.records.missed, object);
    }
}

/// Whether a record fits into a topic. Kafka would refuse a larger one together with the rest of its page.
const fn fits(key: &str, value: &Bytes) -> bool {
    key.len() + value.len() + OVERHEAD <= MESSAGE_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl Fn(&mut PageWriter<'_>)) -> PageRecords {
        let route = Route { topic: "datasets".into(), partitions: 2 };
        let routes = BTreeMap::from([(RecordType::Datasets, route)]);
        let version = Version { run: 1, page: 1 };
        let mut page =
            PageWriter::new(Region::Us, &routes, &"dead-letters".into(), version, OffsetDateTime::UNIX_EPOCH);
        write(&mut page);
        page.records
    }

    #[test]
    fn a_record_too_large_for_its_topic_is_a_dead_letter() {
        let largest = MESSAGE_BYTES - OVERHEAD - "us/a.example/aaaa-aaaa".len();
        let records = written(|page| {
            for (id, bytes, fits) in
                [("aaaa-aaaa", largest, true), ("aaaa-aaab", largest + 1, false), ("aaaa-aaac", 2, true)]
            {
                let key = Key::Dataset { domain: "a.example", id };
                assert_eq!(page.add(RecordType::Datasets, key, vec![b' '; bytes].into()), fits, "{id}");
            }
        });
        let keys: Vec<_> = records.outgoing.iter().map(|record| record.key.as_str()).collect();
        assert_eq!(keys, ["us/a.example/aaaa-aaaa", "", "us/a.example/aaaa-aaac"]);
        assert_eq!((records.missed.unkeyed, records.published.len()), (1, 2));
    }

    #[test]
    fn a_dead_letter_is_never_too_large() {
        let vast = Bytes::from(vec![b' '; MESSAGE_BYTES]);
        let records = written(|page| page.add_dead(vast.clone(), "odd"));
        let lengths: Vec<_> = records.outgoing.iter().map(|letter| letter.value.len()).collect();
        assert_eq!((records.missed.unkeyed, lengths), (1, vec![HEAD]));
    }
}
