//! The names of the topics.

use crate::record::Kind;

/// The names of one installation's topics, which share a prefix.
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

    /// The topic of a kind of records.
    #[must_use]
    pub fn data(&self, kind: Kind) -> String {
        format!("{}{kind}", self.prefix)
    }

    /// The kind whose topic this is.
    #[must_use]
    pub fn kind(&self, topic: &str) -> Option<Kind> {
        let name = topic.strip_prefix(self.prefix.as_str())?;
        Kind::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The producers' cursors, a partition a region.
    #[must_use]
    pub fn cursors(&self) -> String {
        format!("{}cursors", self.prefix)
    }

    /// What became of each run.
    #[must_use]
    pub fn verdicts(&self) -> String {
        format!("{}verdicts", self.prefix)
    }

    /// What a producer could not make a record of.
    #[must_use]
    pub fn dead_letters(&self) -> String {
        format!("{}dead-letters", self.prefix)
    }

    /// The transactional id of a region's producer: one at a time, so the prefix and region name it.
    #[must_use]
    pub fn transactional_id(&self, region: crate::region::Region) -> String {
        format!("{}producer.{region}", self.prefix)
    }
}
