//! The topics that are consumed, and their partitions.

use catalog_shared::record::RecordType;
use catalog_shared::topics::Topics;

/// What a topic that is consumed holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum TopicKind {
    /// Catalog records.
    Data(RecordType),
    /// What producers could not make a record of. It deletes what is old.
    DeadLetters,
}

impl TopicKind {
    /// Every topic that is consumed.
    pub(crate) const ALL: [Self; 5] = [
        Self::Data(RecordType::Datasets),
        Self::Data(RecordType::Domains),
        Self::Data(RecordType::Hosts),
        Self::Data(RecordType::Agencies),
        Self::DeadLetters,
    ];

    /// What a topic holds; none for a topic that is not consumed.
    pub(crate) fn of(topics: &Topics, topic: &str) -> Option<Self> {
        let data = topics.record_type(topic).map(Self::Data);
        data.or_else(|| (topic == topics.dead_letters()).then_some(Self::DeadLetters))
    }

    /// The topic's name.
    pub(crate) fn topic(self, topics: &Topics) -> String {
        match self {
            Self::Data(kind) => topics.data(kind),
            Self::DeadLetters => topics.dead_letters(),
        }
    }
}

/// A partition of a topic that is consumed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct TopicPartition {
    pub(crate) kind: TopicKind,
    pub(crate) topic: String,
    pub(crate) partition: i32,
}
