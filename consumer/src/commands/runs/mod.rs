//! `runs`: lists runs, and approves or declines runs on hold.

use std::collections::BTreeSet;

use catalog_shared::shutdown::CancellationToken;

use crate::store::ledger::manual_decisions::Change;

mod args;
mod decide;
mod list;
mod row;
mod show;

use args::ApproveArgs;
pub(crate) use args::RunsCommand;

/// Lists runs, shows one, or decides on one.
///
/// # Errors [`catalog_shared::exit::Stop::Usage`] if the run does not allow the decision or it was not confirmed,
/// [`catalog_shared::exit::Stop::Guard`] if its effect would differ from what was shown, or an error of the database.
/// [`catalog_shared::exit::Stop::Interrupted`] if a signal comes before the answer. An unreachable Kafka is not an error: a
/// running consumer publishes the decision later.
pub(crate) async fn run(command: RunsCommand, shutdown: &CancellationToken) -> anyhow::Result<()> {
    match command {
        RunsCommand::List(args) => list::list(&args).await,
        RunsCommand::Show(args) => show::show(&args).await,
        RunsCommand::Approve(ApproveArgs { domains, decision }) => {
            let domains: BTreeSet<String> =
                domains.iter().map(|domain| domain.to_ascii_lowercase()).collect();
            decide::decide(&decision, Change::Approve(domains), shutdown).await
        }
        RunsCommand::Decline(args) => decide::decide(&args, Change::Decline, shutdown).await,
        RunsCommand::Undo(args) => decide::decide(&args, Change::Undo, shutdown).await,
    }
}
