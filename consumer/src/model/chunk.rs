//! Chunks: how received records get from the polling thread to the loop that applies them.

use crate::model::record::Record;

/// How many records or bytes make a chunk full.
const CHUNK_RECORDS: usize = 256;
const CHUNK_BYTES: usize = 256 * 1024;

/// A record that only a newer build can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NewerRecord {
    pub(crate) offset: i64,
    pub(crate) schema: u32,
}

/// Consecutive records of one partition. All were received in the same epoch: under one assignment, and between two
/// seeks.
#[derive(Debug)]
pub(crate) struct Chunk {
    pub(crate) epoch: u64,
    pub(crate) records: Vec<Record>,
    /// The record of a newer schema that comes after them.
    pub(crate) newer: Option<NewerRecord>,
    bytes: usize,
}

impl Chunk {
    pub(crate) const fn new(epoch: u64) -> Self {
        Self { epoch, records: Vec::new(), newer: None, bytes: 0 }
    }

    /// Appends a record, or ends with one of a newer schema.
    pub(crate) fn push(&mut self, offset: i64, record: Result<Record, u32>) {
        match record {
            Ok(record) => {
                self.bytes += record.bytes();
                self.records.push(record);
            }
            Err(schema) => self.newer = Some(NewerRecord { offset, schema }),
        }
    }

    /// Whether nothing may be appended any more.
    pub(crate) const fn is_full(&self) -> bool {
        self.records.len() >= CHUNK_RECORDS || self.bytes >= CHUNK_BYTES || self.newer.is_some()
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.records.is_empty() && self.newer.is_none()
    }

    /// How many bytes of memory the records take, approximately.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::message::OwnedHeaders;

    use super::*;

    fn record(offset: i64) -> Record {
        Record::read(offset, None::<&OwnedHeaders>).unwrap()
    }

    #[test]
    fn a_chunk_is_full_by_records_or_bytes_and_ends_at_a_newer_schema() {
        let mut chunk = Chunk::new(1);
        assert!(chunk.is_empty() && !chunk.is_full());
        (0..255).for_each(|offset| chunk.push(offset, Ok(record(offset))));
        assert!(!chunk.is_full());
        chunk.push(255, Ok(record(255)));
        assert!(chunk.is_full());

        let mut chunk = Chunk::new(1);
        let value = Some(vec![0; CHUNK_BYTES].into());
        chunk.push(0, Ok(Record { value, ..record(0) }));
        assert!(chunk.is_full());

        let mut chunk = Chunk::new(1);
        chunk.push(7, Err(2));
        assert!(chunk.is_full() && !chunk.is_empty());
        assert_eq!(chunk.newer, Some(NewerRecord { offset: 7, schema: 2 }));
    }
}
