//! A reader whose client is closed on a separate thread.

use std::sync::{Arc, mpsc};
use std::thread;

use anyhow::Context;
use catalog_shared::kafka::KafkaArgs;

use crate::kafka::reader::{self, TopicReader};

/// A reader. Closing a client waits for its threads, so that must not happen on a thread of the async runtime. Therefore a
/// thread holds the client too, and drops it last.
pub(crate) struct DetachedReader {
    // The fields are dropped in this order.
    reader: Arc<TopicReader>,
    _alive: mpsc::Sender<()>,
}

impl DetachedReader {
    /// Opens a reader outside of any group; see [`reader::open`].
    ///
    /// # Errors
    /// If librdkafka refuses the settings, or the operating system can't start a thread.
    pub(crate) fn open(kafka: &KafkaArgs, group: &str) -> anyhow::Result<Self> {
        let reader = Arc::new(reader::open(kafka, group)?);
        let (alive, dropped) = mpsc::channel::<()>();
        let client = Arc::clone(&reader);
        let close = move || {
            // Nothing is sent. This ends once the sender is dropped.
            let _ = dropped.recv();
            drop(client);
        };
        thread::Builder::new()
            .name("close-reader".to_owned())
            .spawn(close)
            .context("can't start a thread")?;
        Ok(Self { reader, _alive: alive })
    }

    /// The reader.
    pub(crate) const fn get(&self) -> &Arc<TopicReader> {
        &self.reader
    }
}
