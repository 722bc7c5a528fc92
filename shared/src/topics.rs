//! The names of the topics.

use crate::record::RecordType;

/// The topic names of one installation, which share a prefix.
#[derive(Clone, Debug)]
pub struct Topics {
    prefix: String,
}

impl Topics {
    /// The topics under a prefix, such as `socrata.`.
    #[must_use]
    pub fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned() }
    }

    /// The topic of a record type.
    #[must_use]
    pub fn data(&self, kind: RecordType) -> String {
        format!("{}{kind}", self.prefix)
    }

    /// The record type of a topic.
    #[must_use]
    pub fn record_type(&self, topic: &str) -> Option<RecordType> {
        let name = topic.strip_prefix(self.prefix.as_str())?;
        RecordType::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The cursors of the producers, one partition per region.
    #[must_use]
    pub fn cursors(&self) -> String {
        format!("{}cursors", self.prefix)
    }

    /// The topic of decisions about runs.
    #[must_use]
    pub fn verdicts(&self) -> String {
        format!("{}verdicts", self.prefix)
    }

    /// The dead letters of the producers.
    #[must_use]
    pub fn dead_letters(&self) -> String {
        format!("{}dead-letters", self.prefix)
    }

    /// The transactional id of a region's producer. It has no other parts, so that a new producer fences the previous one.
    #[must_use]
    pub fn transactional_id(&self, region: crate::region::Region) -> String {
        format!("{}producer.{region}", self.prefix)
    }
}
