//! `run`: applies records to the tables as a member of the consumer group.

use std::sync::Arc;
use std::time::Duration;

use catalog_shared::events;
use catalog_shared::exit::Stop;
use catalog_shared::shutdown::CancellationToken;
use catalog_shared::terminal::Terminal;
use sqlx::PgPool;
use tokio::time::timeout;

use crate::commands::check::{self, CheckArgs, Report};
use crate::commands::run::consumer::{Consumer, Left, Tables};
use crate::commands::run::monitoring::Monitor;
use crate::commands::run::notify::Notifier;
use crate::commands::run::prepare::{Prepared, prepare};
use crate::commands::run::progress::Progress;
use crate::commands::summary::Summary;
use crate::store::outage::Outage;
use crate::sync::decisions::DecisionSyncTask;

pub(crate) mod args;
mod background_checks;
mod consumer;
mod due;
mod group_ownership;
mod housekeeping;
mod missing_topics;
mod monitoring;
mod newer_schema;
mod notify;
mod outcome;
mod prepare;
mod progress;
mod readiness;
mod rebalance;
mod receive;

pub(crate) use args::RunArgs;

/// How long closing the connections may take before the report of `check`.
const CLOSE_LIMIT: Duration = Duration::from_secs(5);

/// Applies records until `shutdown`, or until caught up if `--until-caught-up` is set.
///
/// # Errors
/// [`Stop::Guard`] and [`Stop::Interrupted`], or an error of the database or Kafka.
pub(crate) async fn run(
    args: RunArgs,
    terminal: &Terminal,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    args.kafka.log_config()?;
    let (notifier, check) = (
        Notifier::new(&args.notify, &args.kafka)?,
        CheckArgs::from_environment(&args.kafka, &args.database)?,
    );
    let (monitor, _monitoring) = Monitor::start(&args, &shutdown)?;
    let outage = Arc::new(Outage::default());
    let Some(Prepared { pool, copy, end_offsets }) = prepare(&args, &outage, &shutdown).await? else {
        return finish(&Summary::start(), args.json, args.until_caught_up.then_some(false));
    };
    let (json, ends) = (args.json, args.until_caught_up);
    let _missing_topics = (!ends).then(|| missing_topics::watch(&args.kafka, monitor.clone()));
    let (at_end, meanwhile) = if ends { (notifier, None) } else { (None, notifier) };
    let _notifying = meanwhile.map(|notifier| notifier.start(pool.clone()));
    let decisions = DecisionSyncTask::start(&args.kafka, &pool, &shutdown).await?;
    let progress = Progress::start(terminal);
    let tables = Tables { pool: pool.clone(), copy, published: decisions.published() };
    let mut consumer = Consumer::join(args, tables, outage, progress, monitor)?;
    let worked = consumer.work(&shutdown, end_offsets.as_ref()).await;
    let Left { mut summary, batches, left } = consumer.leave().await;
    decisions.finish().await;
    let caught_up = worked?;
    batches?;
    if let Err(error) = left {
        leave_failed(error, ends && caught_up)?;
    }
    if ends && caught_up {
        summary.check = shutdown.run_until_cancelled(conclude(&pool, at_end.as_ref(), &check)).await;
    }
    finish(&summary, json, ends.then_some(caught_up))
}

/// A run that has caught up is complete even if it can't leave the group, which removes the member later.
fn leave_failed(error: anyhow::Error, is_complete: bool) -> anyhow::Result<()> {
    if !is_complete {
        return Err(error);
    }
    tracing::warn!(
        event = events::GROUP_NOT_LEFT,
        error = format!("{error:#}"),
        "can't leave the group, which removes this member after its session timeout; everything is applied"
    );
    Ok(())
}

/// What is left to do for a run that has caught up: the notifications, and the report of `check`.
async fn conclude(pool: &PgPool, notifier: Option<&Notifier>, check: &CheckArgs) -> Report {
    if let Some(notifier) = notifier {
        notifier.notify_once(pool).await;
    }
    // `check` needs a connection, and there may be no other one. A statement that was given up may still hold one.
    let _ = timeout(CLOSE_LIMIT, pool.close()).await;
    check::report(check).await
}

/// Prints the summary. A signal is the regular end of a service, but an error before `--until-caught-up` has caught up.
fn finish(summary: &Summary, json: bool, caught_up: Option<bool>) -> anyhow::Result<()> {
    if caught_up == Some(false) {
        let error = Stop::Interrupted("not caught up; the next start resumes from there".to_owned());
        return Err(summary.print_failure(json, caught_up, false, error.into()));
    }
    summary.print(json, caught_up)
}
