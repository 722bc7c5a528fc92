//! The end of a crawl that did not complete its run.

use std::time::Duration;

use catalog_shared::events;
use catalog_shared::exit::Stop;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::config::CrawlArgs;
use crate::progress::counters::Counters;
use crate::publish::Publisher;
use crate::report::summary::{End, Summary, resumed_by};
use crate::run::request::CrawlRequest;

/// The shutdown timeout for publishing the pages in flight.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(10);
/// The timeout for recording the stop in the cursor.
const RECORD_TIMEOUT: Duration = Duration::from_secs(5);

/// Returns whether a crawl completed. After a shutdown it has limited time to publish the pages in flight, because Kafka
/// may be unreachable. A resumed run fetches the rest again.
pub(super) async fn with_shutdown_timeout(
    crawl: impl Future<Output = anyhow::Result<bool>>,
    shutdown: &CancellationToken,
) -> anyhow::Result<bool> {
    let timed_out = async {
        shutdown.cancelled().await;
        sleep(SHUTDOWN_TIMEOUT).await;
    };
    tokio::select! {
        is_complete = crawl => is_complete,
        () = timed_out => {
            tracing::warn!(event = events::SHUTDOWN_TIMED_OUT, "shutdown timed out: pages in flight are not published, the next start fetches them again");
            Ok(false)
        }
    }
}

/// Records in the cursor that the crawl stopped, why, and whether a webhook has accepted that. Kafka may be the reason, so this
/// has a short timeout. The next crawl does not depend on it.
pub(super) async fn record(publisher: &mut Publisher, error: Option<&anyhow::Error>, is_notified: bool) {
    if error.is_some_and(|error| matches!(error.downcast_ref(), Some(Stop::Guard(_)))) {
        // Another producer may have taken over.
        return;
    }
    let reason = error.map(|error| format!("{error:#}"));
    let recorded = timeout(RECORD_TIMEOUT, publisher.record_stop(reason, is_notified)).await;
    if !matches!(recorded, Ok(Ok(()))) {
        tracing::debug!(?recorded, "can't record in the cursor that the crawl stopped");
    }
}

pub(super) fn interrupted(args: &CrawlArgs, run: u32) -> String {
    if args.dry_run {
        return "the dry run is incomplete".to_owned();
    }
    format!("run {run} of {} is incomplete; {}", args.api.region, resumed_by(args))
}

/// The error of a command that has not claimed the region, after its summary is printed. There is no summary for an
/// invalid command line, because nothing was done.
pub(super) fn before_claim(
    args: &CrawlArgs,
    request: CrawlRequest,
    counters: &Counters,
    error: Option<anyhow::Error>,
) -> anyhow::Error {
    let summary = |end| Summary::without_run(args, request.parameters, end, counters);
    let Some(error) = error else {
        let error = Stop::Interrupted("no run was started or resumed".to_owned());
        return summary(End::Interrupted).print_failure(args.json, error.into());
    };
    if error.is::<Stop>() || counters.requests() == 0 {
        return error;
    }
    summary(End::Failed).print_failure(args.json, error)
}
