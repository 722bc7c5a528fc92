//! `runs`: what became of the runs, and the decision on those on hold.

use std::collections::BTreeSet;

use crate::store::ledger::manual_decisions::Change;

mod args;
mod decide;
mod list;
mod show;

use args::ReleaseArgs;
pub(crate) use args::RunsCommand;

/// Lists runs, shows one, or decides one.
///
/// # Errors
/// [`catalog_shared::exit::Stop::Usage`] for a decision that the run does not allow or that nobody confirmed,
/// [`catalog_shared::exit::Stop::Guard`] where more would follow from it than was shown, or what the database said.
/// An unreachable Kafka is no error: the decision is published later.
pub(crate) async fn run(command: RunsCommand) -> anyhow::Result<()> {
    match command {
        RunsCommand::List(args) => list::list(&args).await,
        RunsCommand::Show(args) => show::show(&args).await,
        RunsCommand::Release(ReleaseArgs { domains, decision }) => {
            let domains: BTreeSet<String> =
                domains.iter().map(|domain| domain.to_ascii_lowercase()).collect();
            decide::decide(&decision, Change::Release(domains)).await
        }
        RunsCommand::Reject(args) => decide::decide(&args, Change::Reject).await,
        RunsCommand::Undo(args) => decide::decide(&args, Change::Undo).await,
    }
}
