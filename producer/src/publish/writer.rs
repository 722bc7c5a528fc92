//! The records of one page: where each goes, and which are too large to go anywhere.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use catalog_shared::key::Key;
use catalog_shared::partition;
use catalog_shared::record::{Content, Kind, Stamp, Version};
use catalog_shared::region::Region;
use rdkafka::message::{Header, OwnedHeaders};
use time::OffsetDateTime;

use crate::publish::topics::MESSAGE_BYTES;
use crate::publish::transaction::Outgoing;

/// What a record takes besides its key and value, at most: its headers, and the frame of a batch of one.
const FRAME: usize = 1024;
/// How much of a key goes into a message, in bytes.
const SHOWN: usize = 600;

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
    /// How many objects could not be made a record.
    pub(crate) unkeyed: u64,
    /// How many records are larger than the topics take.
    pub(crate) skipped: u64,
}

/// Collects the records of one page; all of a kind share their headers.
pub(crate) struct PageWriter<'a> {
    pub(crate) region: Region,
    routes: &'a BTreeMap<Kind, Route>,
    headers: BTreeMap<Kind, Arc<OwnedHeaders>>,
    stamp: Stamp,
    pub(crate) records: PageRecords,
}

impl<'a> PageWriter<'a> {
    pub(crate) fn new(
        region: Region,
        routes: &'a BTreeMap<Kind, Route>,
        version: Version,
        observed_at: OffsetDateTime,
    ) -> Self {
        let stamp = Stamp { content: Content::Record(Kind::Datasets), region, version, observed_at };
        let headers = |kind| (kind, Stamp { content: Content::Record(kind), ..stamp }.to_headers().into());
        let headers = Kind::ALL.into_iter().map(headers).collect();
        Self { region, routes, headers, stamp, records: PageRecords::default() }
    }

    /// Adds a record, unless the run doesn't publish its kind. Tells whether it fits into the topic.
    pub(crate) fn add(&mut self, kind: Kind, key: Key<'_>, value: Bytes) -> bool {
        let (Some(route), Some(headers)) = (self.routes.get(&kind), self.headers.get(&kind)) else {
            return true;
        };
        let key = key.to_text(self.region);
        let partition = partition::of_key(key.as_bytes(), route.partitions);
        let (topic, headers) = (Arc::clone(&route.topic), Arc::clone(headers));
        let fits = self.push(Outgoing { topic, partition, key, value, headers });
        if fits {
            self.records.published.push((kind, partition));
        }
        fits
    }

    /// Takes a record on, but for one that Kafka would refuse, and all of its page with it.
    fn push(&mut self, record: Outgoing) -> bool {
        let bytes = record.key.len() + record.value.len();
        let fits = bytes + FRAME <= MESSAGE_BYTES;
        if fits {
            self.records.outgoing.push(record);
        } else {
            let (topic, key) = (&record.topic, &record.key[..record.key.floor_char_boundary(SHOWN)]);
            tracing::warn!(%topic, key, bytes, "leaving out a record that is larger than the topic takes");
            self.records.skipped += 1;
        }
        fits
    }

    /// Adds what no record could be made of, and why.
    pub(crate) fn add_dead(&mut self, topic: &Arc<str>, value: Bytes, reason: &str) {
        let headers = self.stamp.to_headers().insert(Header { key: "reason", value: Some(reason) }).into();
        let (topic, key) = (Arc::clone(topic), String::new());
        let fits = self.push(Outgoing { topic, partition: 0, key, value, headers });
        self.records.unkeyed += u64::from(fits);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl Fn(&mut PageWriter<'_>)) -> PageRecords {
        let route = Route { topic: "datasets".into(), partitions: 2 };
        let routes = BTreeMap::from([(Kind::Datasets, route)]);
        let version = Version { run: 1, page: 1 };
        let mut page = PageWriter::new(Region::Us, &routes, version, OffsetDateTime::UNIX_EPOCH);
        write(&mut page);
        page.records
    }

    #[test]
    fn what_is_larger_than_a_topic_takes_is_left_out_and_counted() {
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
        assert_eq!(keys, ["us/a.example/aaaa-aaaa", "us/a.example/aaaa-aaac"]);
        assert_eq!((records.skipped, records.published.len()), (1, 2));
    }

    #[test]
    fn not_even_a_dead_letter_is_larger() {
        let vast = Bytes::from(vec![b' '; MESSAGE_BYTES]);
        let records = written(|page| page.add_dead(&"dead-letters".into(), vast.clone(), "odd"));
        assert_eq!((records.skipped, records.unkeyed, records.outgoing.len()), (1, 0, 0));
    }
}
