//! What another client may do with a topic.

use anyhow::Result;
use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::topic::{self, Sent};
use super::{TOPICS, World};

/// The topics, without their prefix, that a user may read and those that it may write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// Those that it may read.
    pub read: Vec<&'static str>,
    /// Those that it may write.
    pub written: Vec<&'static str>,
}

impl World {
    /// What a client with these options may do. It reads each topic, and sends an invalid record to each.
    ///
    /// # Errors
    /// Kafka's error, except that the client is not authorized.
    pub async fn access(&self, options: &[(&str, &str)]) -> Result<Access> {
        let mut config = self.kafka();
        for (name, value) in options {
            config.set(*name, *value);
        }
        let mut access = Access::default();
        for name in TOPICS {
            if is_allowed(topic::read(config.clone(), self.topic(name)).await)? {
                access.read.push(name);
            }
            if may_write(config.clone(), &self.topic(name)).await? {
                access.written.push(name);
            }
        }
        Ok(access)
    }
}

async fn may_write(config: ClientConfig, topic: &str) -> Result<bool> {
    let sent = Sent { key: Some(b"us/x"), value: Some(b"?"), ..Sent::default() };
    is_allowed(topic::send(config, topic, sent).await)
}

/// Whether Kafka has allowed an attempt.
fn is_allowed<T>(tried: Result<T>) -> Result<bool> {
    let Err(error) = tried else { return Ok(true) };
    let code = error.downcast_ref().and_then(KafkaError::rdkafka_error_code);
    if code == Some(RDKafkaErrorCode::TopicAuthorizationFailed) { Ok(false) } else { Err(error) }
}
