//! The records of one page: where each goes, and what becomes of one that is too large.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use catalog_shared::key::{Key, is_name};
use catalog_shared::partition;
use catalog_shared::record::{Content, Kind, Stamp, Version};
use catalog_shared::region::Region;
use rdkafka::message::{Header, OwnedHeaders};
use time::OffsetDateTime;

use crate::api::page::Object;
use crate::model::outgoing::Outgoing;
use catalog_shared::topic_setup::MESSAGE_BYTES;

/// What a record takes besides its key and value, at most: its headers, and the frame of a batch of one.
const FRAME: usize = 1024;
/// How much of a key goes into a message, in bytes.
const SHOWN: usize = 600;
/// How much of a value that is too large goes into its dead letter, in bytes.
const HEAD: usize = 64 * 1024;

/// Where the records of a kind go.
pub(crate) struct Route {
    pub(crate) topic: Arc<str>,
    pub(crate) partitions: i32,
}

/// The records of one page, and what the cursor has to say of them.
#[derive(Default)]
pub(crate) struct PageRecords {
    pub(crate) outgoing: Vec<Outgoing>,
    /// The kind and partition of each record but for dead letters.
    pub(crate) published: Vec<(Kind, i32)>,
    /// How many assets of each domain there are.
    pub(crate) seen: BTreeMap<String, u64>,
    pub(crate) missed: Missed,
}

/// What no record could be made of, by what names it. Each is counted in `unkeyed` and in one other place at most.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Missed {
    /// How many there are.
    pub(crate) unkeyed: u64,
    /// Entries of `/domains`.
    pub(crate) bad_domains: u64,
    /// Objects whose domain is known and whose id is not.
    pub(crate) by_domain: BTreeMap<String, u64>,
    /// The ids of objects that show one.
    pub(crate) ids: Vec<String>,
}

impl Missed {
    /// Keeps what names an object: its id, which the permalink may show too, or else its domain.
    fn name(&mut self, object: &Object) {
        let domain = object.domain.as_ref().filter(|domain| is_name(domain));
        match (object.id.as_ref().or(object.link_id.as_ref()), domain) {
            (Some(id), _) => self.ids.push(id.clone()),
            (None, Some(domain)) => *self.by_domain.entry(domain.clone()).or_default() += 1,
            (None, None) => {}
        }
    }
}

/// Collects the records of one page; all of a kind share their headers.
pub(crate) struct PageWriter<'a> {
    pub(crate) region: Region,
    routes: &'a BTreeMap<Kind, Route>,
    headers: BTreeMap<Kind, Arc<OwnedHeaders>>,
    stamp: Stamp,
    dead_letters: Arc<str>,
    pub(crate) records: PageRecords,
}

impl<'a> PageWriter<'a> {
    pub(crate) fn new(
        region: Region,
        routes: &'a BTreeMap<Kind, Route>,
        dead_letters: &Arc<str>,
        version: Version,
        observed_at: OffsetDateTime,
    ) -> Self {
        let stamp = Stamp { content: Content::Record(Kind::Datasets), region, version, observed_at };
        let headers = |kind| (kind, Stamp { content: Content::Record(kind), ..stamp }.to_headers().into());
        let headers = Kind::ALL.into_iter().map(headers).collect();
        let dead_letters = Arc::clone(dead_letters);
        Self { region, routes, headers, stamp, dead_letters, records: PageRecords::default() }
    }

    /// Adds a record of an object, unless the run doesn't publish its kind. Says whether it fits into the topic; one
    /// that does not becomes a dead letter.
    pub(crate) fn add_of(&mut self, object: &Object, kind: Kind, key: Key<'_>, value: Bytes) -> bool {
        let fits = self.add(kind, key, value);
        if !fits {
            self.records.missed.name(object);
        }
        fits
    }

    /// Adds a record as [`PageWriter::add_of`] does, where no object stands behind it.
    pub(crate) fn add(&mut self, kind: Kind, key: Key<'_>, value: Bytes) -> bool {
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
        let (key, bytes) = (&key[..key.floor_char_boundary(SHOWN)], value.len());
        tracing::warn!(key, bytes, "a record would be larger than its topic takes: it becomes a dead letter");
        self.add_dead(value, &format!("larger than a record may be: {key}, {bytes} bytes"));
    }

    /// Adds what no record could be made of, and why. Of what is too large for any topic the beginning has to do.
    pub(crate) fn add_dead(&mut self, value: Bytes, reason: &str) {
        let headers = self.stamp.to_headers().insert(Header { key: "reason", value: Some(reason) }).into();
        let value = if fits("", &value) { value } else { value.slice(..HEAD) };
        let (topic, key) = (Arc::clone(&self.dead_letters), String::new());
        self.records.outgoing.push(Outgoing { topic, partition: 0, key, value, headers });
        self.records.missed.unkeyed += 1;
    }

    /// Adds an object that no record can be made of, and why.
    pub(crate) fn add_missed(&mut self, object: &Object, reason: &str) {
        self.add_dead(object.raw.clone(), reason);
        self.records.missed.name(object);
    }
}

/// Whether a record is one that a topic takes. Kafka would refuse another, and all of its page with it.
const fn fits(key: &str, value: &Bytes) -> bool {
    key.len() + value.len() + FRAME <= MESSAGE_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl Fn(&mut PageWriter<'_>)) -> PageRecords {
        let route = Route { topic: "datasets".into(), partitions: 2 };
        let routes = BTreeMap::from([(Kind::Datasets, route)]);
        let version = Version { run: 1, page: 1 };
        let mut page =
            PageWriter::new(Region::Us, &routes, &"dead-letters".into(), version, OffsetDateTime::UNIX_EPOCH);
        write(&mut page);
        page.records
    }

    #[test]
    fn what_is_larger_than_a_topic_takes_is_a_dead_letter() {
        let largest = MESSAGE_BYTES - FRAME - "us/a.example/aaaa-aaaa".len();
        let records = written(|page| {
            for (id, bytes, fits) in
                [("aaaa-aaaa", largest, true), ("aaaa-aaab", largest + 1, false), ("aaaa-aaac", 2, true)]
            {
                let key = Key::Dataset { domain: "a.example", id };
                assert_eq!(page.add(Kind::Datasets, key, vec![b' '; bytes].into()), fits, "{id}");
            }
        });
        let keys: Vec<_> = records.outgoing.iter().map(|record| record.key.as_str()).collect();
        assert_eq!(keys, ["us/a.example/aaaa-aaaa", "", "us/a.example/aaaa-aaac"]);
        assert_eq!((records.missed.unkeyed, records.published.len()), (1, 2));
    }

    #[test]
    fn not_even_a_dead_letter_is_larger() {
        let vast = Bytes::from(vec![b' '; MESSAGE_BYTES]);
        let records = written(|page| page.add_dead(vast.clone(), "odd"));
        let lengths: Vec<_> = records.outgoing.iter().map(|letter| letter.value.len()).collect();
        assert_eq!((records.missed.unkeyed, lengths), (1, vec![HEAD]));
    }
}
