//! A reader whose client is closed on a separate thread.

use std::sync::Arc;

use anyhow::Context;
use catalog_shared::kafka::KafkaArgs;

use crate::kafka::reader::{self, Reader};

/// A reader. Closing a client waits for its threads, so that must not happen on a thread of the async runtime.
pub(crate) struct DetachedReader(Option<Arc<Reader>>);

impl DetachedReader {
    /// Opens a reader outside of any group; see [`reader::open`].
    ///
    /// # Errors
    /// librdkafka refused the settings.
    pub(crate) fn open(kafka: &KafkaArgs, group: &str) -> anyhow::Result<Self> {
        Ok(Self(Some(Arc::new(reader::open(kafka, group)?))))
    }

    /// The reader.
    ///
    /// # Errors
    /// Only while this is dropped.
    pub(crate) fn get(&self) -> anyhow::Result<Arc<Reader>> {
        self.0.clone().context("the Kafka client is closed")
    }
}

impl Drop for DetachedReader {
    fn drop(&mut self) {
        let reader = self.0.take();
        std::thread::spawn(move || drop(reader));
    }
}
