//! The stages of a batch, and how long each takes.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use catalog_shared::monitoring::names;
use metrics::histogram;

/// What a batch is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Its records are decoded.
    Decode,
    /// It waits for a connection.
    Connection,
    /// It waits for the schema lock.
    SchemaLock,
    /// It writes rows.
    Rows,
    /// It updates the ledger and the dead letters.
    Ledger,
    /// It applies end-of-run records: this may decide about a run and retire datasets.
    EndOfRun,
    /// It commits.
    Commit,
}

impl Stage {
    /// The stage as text.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Decode => "decode",
            Self::Connection => "connection",
            Self::SchemaLock => "schema_lock",
            Self::Rows => "rows",
            Self::Ledger => "ledger",
            Self::EndOfRun => "end_of_run",
            Self::Commit => "commit",
        }
    }
}

/// The current stage of a batch and when it began. It changes a few times per batch.
#[derive(Debug, Default)]
pub(crate) struct Stages(Mutex<Option<(Stage, Instant)>>);

impl Stages {
    /// Begins an attempt. What a failed attempt before it has measured does not count.
    pub(crate) fn start(&self) {
        *self.current_mut() = Some((Stage::Decode, Instant::now()));
    }

    /// Ends the current stage and begins the next one.
    pub(crate) fn enter(&self, stage: Stage) {
        self.end_with(Some((stage, Instant::now())));
    }

    /// Ends the last stage.
    pub(crate) fn end(&self) {
        self.end_with(None);
    }

    /// Forgets the stage of a failed attempt.
    pub(crate) fn clear(&self) {
        *self.current_mut() = None;
    }

    /// The current stage and its start. None between attempts.
    pub(crate) fn current(&self) -> Option<(Stage, Instant)> {
        *self.current_mut()
    }

    fn end_with(&self, next: Option<(Stage, Instant)>) {
        let ended = std::mem::replace(&mut *self.current_mut(), next);
        if let Some((stage, since)) = ended {
            histogram!(names::CONSUMER_BATCH_STAGE, "stage" => stage.name()).record(since.elapsed());
        }
    }

    fn current_mut(&self) -> MutexGuard<'_, Option<(Stage, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
