//! The settings of clients that read without being a member of a group.

use rdkafka::config::ClientConfig;

use super::KafkaArgs;
use crate::stop::Stop;

/// Settings that all of them need.
const READER: [(&str, &str); 3] = [
    ("enable.auto.commit", "false"),
    // A missing start offset must not be replaced by the end.
    ("auto.offset.reset", "error"),
    // To ask for a topic must not create it.
    ("allow.auto.create.topics", "false"),
];

impl KafkaArgs {
    /// The configuration of a client that reads without joining a group, or that only asks for metadata and offsets. librdkafka
    /// assigns partitions only to a client with a `group.id`, so a client that reads records has one in `settings`.
    ///
    /// # Errors
    /// Same as [`KafkaArgs::client_config`].
    pub fn reader_config(&self, settings: &[(&str, &str)]) -> Result<ClientConfig, Stop> {
        self.client_config(&[&READER[..], settings].concat())
    }
}
