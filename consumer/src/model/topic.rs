//! The topics that are consumed, and their partitions.

use std::fmt::{self, Display, Formatter};

use catalog_shared::record::RecordType;
use catalog_shared::topics::Topics;

/// The kind of a consumed topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum TopicKind {
    /// Catalog records.
    Data(RecordType),
    /// Objects that producers could not turn into a record. Old records expire.
    DeadLetters,
}

impl TopicKind {
    /// Every consumed topic.
    pub(crate) const ALL: [Self; 5] = [
        Self::Data(RecordType::Datasets),
        Self::Data(RecordType::Domains),
        Self::Data(RecordType::Hosts),
        Self::Data(RecordType::Agencies),
        Self::DeadLetters,
    ];

    /// The kind of a topic; `None` if it is not consumed.
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

/// A partition of a consumed topic.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct TopicPartition {
    pub(crate) kind: TopicKind,
    pub(crate) topic: String,
    pub(crate) partition: i32,
}

/// Identifies a partition among those of the consumed topics.
pub(crate) type PartitionId = (TopicKind, i32);

impl TopicPartition {
    /// The first partition of the topic of datasets. The metadata of its offset names the copy that owns the group.
    pub(crate) fn first_of_datasets(topics: &Topics) -> Self {
        let kind = TopicKind::Data(RecordType::Datasets);
        Self { kind, topic: kind.topic(topics), partition: 0 }
    }

    pub(crate) const fn id(&self) -> PartitionId {
        (self.kind, self.partition)
    }
}

/// As Kafka's tools write it: `topic[partition]`.
impl Display for TopicPartition {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}]", self.topic, self.partition)
    }
}
