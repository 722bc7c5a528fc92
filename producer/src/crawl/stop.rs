//! What is noted and answered where a crawl does not come to its end.

use std::time::Duration;

use catalog_shared::exit::Stop;
use tokio::time::timeout;

use crate::config::CrawlArgs;
use crate::progress::counters::Tally;
use crate::publish::Publisher;
use crate::report::summary::{End, Summary};
use crate::run::plan::Asked;

/// How long it may take to note in the cursor that the crawl stopped.
const STOP_NOTE: Duration = Duration::from_secs(5);

/// Notes in the cursor that the run goes no further, and why. Kafka may be what is wrong, so this is not waited for
/// long; a start of the next crawl does not depend on it.
pub(super) async fn note_stop(publisher: &mut Publisher, error: Option<&anyhow::Error>) {
    if error.is_some_and(|error| matches!(error.downcast_ref(), Some(Stop::Guard(_)))) {
        // Another producer may have taken over.
        return;
    }
    let noted = timeout(STOP_NOTE, publisher.stop(error.map(|error| format!("{error:#}")))).await;
    if !matches!(noted, Ok(Ok(()))) {
        tracing::debug!(?noted, "can't note in the cursor that the crawl stopped");
    }
}

pub(super) fn interrupted(args: &CrawlArgs, run: u32) -> String {
    if args.dry_run {
        return "the dry run is not complete".to_owned();
    }
    format!("run {run} of {} is not complete; the same command resumes it", args.region)
}

/// The error of a command that has not claimed the region, with a summary. A command line that was refused has done
/// nothing to sum up.
pub(super) fn not_begun(
    args: &CrawlArgs,
    asked: Asked,
    tally: &Tally,
    error: Option<anyhow::Error>,
) -> anyhow::Error {
    let summary = |end| Summary::not_begun(args, asked.shape, end, tally);
    let Some(error) = error else {
        let error = Stop::Interrupted("no run was begun or resumed".to_owned());
        return summary(End::Interrupted).print_failure(args.json, error.into());
    };
    if error.is::<Stop>() || tally.requests() == 0 {
        return error;
    }
    summary(End::Failed).print_failure(args.json, error)
}
