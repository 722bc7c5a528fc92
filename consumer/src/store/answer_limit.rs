//! How long PostgreSQL may take to answer. If the other side of a connection is lost (a host without power, a firewall that has
//! dropped the connection), its answer never comes, and without keepalive nothing reports that. After the limit the
//! connection counts as lost, as in an outage.

use std::fmt::Display;
use std::future::pending;
use std::io;
use std::time::Duration;

use sqlx::Error;
use tokio::time::{sleep_until, timeout};

use crate::config::thresholds::AnswerLimits;
use crate::model::stages::{Stage, Stages};

/// Does work on the database that must end within a limit. The work is dropped at the limit, so its connection is too.
///
/// # Errors
/// The error of the work, or a transient one after the limit.
pub(crate) async fn within<T, E: From<Error>>(
    limit: Duration,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    timeout(limit, work).await.unwrap_or_else(|_| Err(no_answer(limit, "").into()))
}

/// Does the work of a batch, each stage of which must end within its limit.
///
/// # Errors
/// Same as [`within`].
pub(crate) async fn within_stages<T, E: From<Error>>(
    stages: &Stages,
    limits: AnswerLimits,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    tokio::select! {
        biased;
        done = work => done,
        lost = exceeded(stages, limits) => Err(lost.into()),
    }
}

/// Returns once a stage has lasted longer than its limit.
async fn exceeded(stages: &Stages, limits: AnswerLimits) -> Error {
    loop {
        let current = stages.current();
        let Some((stage, since)) = current else { return pending().await };
        let limit = limits.of(stage);
        sleep_until((since + limit).into()).await;
        if stages.current() == current {
            return no_answer(limit, format_args!(" in the stage {}", stage.name()));
        }
    }
}

impl AnswerLimits {
    const fn of(self, stage: Stage) -> Duration {
        match stage {
            Stage::SchemaLock | Stage::EndOfRun => self.lock,
            Stage::Decode | Stage::Connection | Stage::Rows | Stage::Ledger | Stage::Commit => self.rows,
        }
    }
}

fn no_answer(limit: Duration, stage: impl Display) -> Error {
    let text = format!("no answer within {} s{stage}", limit.as_secs_f64());
    Error::Io(io::Error::new(io::ErrorKind::TimedOut, text))
}

/// Whether no answer came, so that the connection is of no use.
pub(crate) fn is_no_answer(error: &anyhow::Error) -> bool {
    let cause = error.chain().find_map(|cause| cause.downcast_ref());
    matches!(cause, Some(Error::Io(cause)) if cause.kind() == io::ErrorKind::TimedOut)
}
