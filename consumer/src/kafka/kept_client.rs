//! A client for questions that are asked again and again. A new client for each would also log in each time, which with OIDC
//! takes a request for a token.

use std::thread;

use catalog_shared::kafka::{KafkaArgs, LogContext};
use rdkafka::consumer::BaseConsumer;
use rdkafka::error::KafkaError;
use tokio::task::spawn_blocking;

use crate::kafka::partitions::watcher;

/// A client that is opened for the first question, and kept until Kafka fails to answer one.
pub(crate) struct KeptClient {
    pub(super) kafka: KafkaArgs,
    client: Option<BaseConsumer<LogContext>>,
}

impl KeptClient {
    pub(crate) fn new(kafka: &KafkaArgs) -> Self {
        Self { kafka: kafka.clone(), client: None }
    }

    /// Asks a question that blocks.
    ///
    /// # Errors
    /// The error of the question, or if librdkafka refuses the settings.
    pub(super) async fn ask<T: Send + 'static>(
        &mut self,
        question: impl FnOnce(&BaseConsumer<LogContext>) -> anyhow::Result<T> + Send + 'static,
    ) -> anyhow::Result<T> {
        let client = self.client.take().map_or_else(|| watcher(&self.kafka), Ok)?;
        let asked = spawn_blocking(move || {
            let answer = question(&client);
            let has_failed =
                answer.as_ref().is_err_and(|error| error.chain().any(|cause| cause.is::<KafkaError>()));
            // Closing a client blocks, so that also happens here.
            (answer, (!has_failed).then_some(client))
        });
        let (answer, client) = asked.await?;
        self.client = client;
        answer
    }
}

impl Drop for KeptClient {
    /// Closing a client waits for its threads, so that must not happen on a thread of the async runtime.
    fn drop(&mut self) {
        let client = self.client.take();
        // Without a thread it is closed here.
        let _ = thread::Builder::new().name("close-client".to_owned()).spawn(move || drop(client));
    }
}

#[cfg(test)]
mod tests {
    use anyhow::bail;
    use clap::Parser;
    use rdkafka::consumer::Consumer;
    use rdkafka::error::RDKafkaErrorCode;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        kafka: KafkaArgs,
    }

    #[tokio::test]
    async fn one_client_asks_all_questions_until_kafka_fails_to_answer() {
        let line = Line::parse_from(["", "--brokers", "127.0.0.1:1"]);
        let mut kept = KeptClient::new(&line.kafka);
        let first = kept.ask(|client| Ok(client.client().native_ptr() as usize)).await.unwrap();
        // The answer may be that a topic is missing.
        kept.ask(|_| -> anyhow::Result<()> { bail!("there is no topic") }).await.unwrap_err();
        assert_eq!(kept.ask(|client| Ok(client.client().native_ptr() as usize)).await.unwrap(), first);
        let failed = KafkaError::MetadataFetch(RDKafkaErrorCode::OperationTimedOut);
        kept.ask(|_| -> anyhow::Result<()> { Err(failed.into()) }).await.unwrap_err();
        assert!(kept.client.is_none());
    }
}
