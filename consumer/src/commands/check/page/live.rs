//! What a running consumer knows about itself.

use catalog_shared::monitoring::HealthResponse;

/// The state of the consumer that serves the page.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    pub(crate) health: HealthResponse,
    pub(crate) readiness: HealthResponse,
    pub(crate) waits: Vec<LiveWait>,
    /// The assigned partitions.
    pub(crate) partitions: Vec<LivePartition>,
}

/// A named wait.
#[derive(Clone, Debug)]
pub(crate) struct LiveWait {
    /// The name in `/healthz`.
    pub(crate) cause: &'static str,
    /// What is waited for.
    pub(crate) what: &'static str,
    pub(crate) seconds: u64,
    /// After how many seconds it counts as a stall; `None` if never.
    pub(crate) limit: Option<u64>,
}

/// An assigned partition.
#[derive(Clone, Debug)]
pub(crate) struct LivePartition {
    pub(crate) topic: String,
    pub(crate) partition: i32,
    /// The offsets up to the end, as last read.
    pub(crate) records: Option<u64>,
    /// The age of the oldest record that is not applied, in seconds.
    pub(crate) seconds: u64,
    /// The name of the wait that it is in.
    pub(crate) wait: Option<&'static str>,
    /// For how many seconds it has made no progress, if that is too long.
    pub(crate) stalled: Option<u64>,
}
