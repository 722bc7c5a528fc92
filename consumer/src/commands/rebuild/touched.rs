//! The keys of the records that were read since the snapshot. Consumers can only have changed the rows of these.

use std::collections::{HashMap, HashSet};

use catalog_shared::record::RecordType;
use sqlx::PgConnection;

use super::comparison::STATEMENTS;
use crate::decode::row_key::row_key;
use crate::model::record::Record;

/// The maximum number of keys, because they are kept in memory (some 100 bytes each) and looked up under the lock.
const MAX_KEYS: usize = 100_000;

/// The keys of records, by record type.
#[derive(Default)]
pub(super) struct TouchedKeys {
    keys: HashMap<RecordType, HashSet<Vec<String>>>,
    count: usize,
}

impl TouchedKeys {
    /// Adds the key of a record. Beyond the maximum, keys are only counted.
    pub(super) fn add(&mut self, record: &Record) {
        let Some((kind, key)) = row_key(record) else { return };
        if self.are_too_many() || self.keys.entry(kind).or_default().insert(key) {
            self.count += 1;
        }
    }

    /// Whether some keys are missing.
    pub(super) const fn are_too_many(&self) -> bool {
        self.count > MAX_KEYS
    }

    /// Adds the keys to the candidates of the session.
    pub(super) async fn add_to_candidates(&self, tx: &mut PgConnection) -> sqlx::Result<()> {
        for statements in STATEMENTS.iter() {
            let Some(keys) = self.keys.get(&statements.table.kind) else { continue };
            let parts = keys.iter().next().map_or(0, Vec::len);
            let column = |part: usize| keys.iter().map(|key| key[part].as_str()).collect::<Vec<_>>();
            let add = sqlx::query(statements.add_candidates.as_str());
            (0..parts).fold(add, |add, part| add.bind(column(part))).execute(&mut *tx).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use catalog_shared::record::{Content, RecordHeaders, Version};
    use catalog_shared::region::Region;
    use rdkafka::message::OwnedHeaders;
    use time::OffsetDateTime;

    use super::*;

    fn record(number: usize) -> Record {
        let version = Version { run: 1, page: 1 };
        let content = Content::Record(RecordType::Hosts);
        let observed_at = OffsetDateTime::UNIX_EPOCH;
        let stamp = RecordHeaders { content, region: Region::Us, version, observed_at };
        let received = Record::read(0, None::<&OwnedHeaders>).unwrap();
        Record { stamp: Ok(stamp), key: Some(format!("us/h{number}.example").into()), ..received }
    }

    #[test]
    fn each_key_counts_once_and_too_many_are_noticed() {
        let mut touched = TouchedKeys::default();
        (0..MAX_KEYS).chain(0..9).for_each(|number| touched.add(&record(number)));
        assert!(!touched.are_too_many());
        touched.add(&record(MAX_KEYS));
        assert!(touched.are_too_many());
    }
}
