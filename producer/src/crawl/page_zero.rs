//! Page 0 of a run, which is what `/domains` declares.

use anyhow::Context;
use tokio_util::sync::CancellationToken;

use crate::api::Discovery;
use crate::api::domains::Domains;
use crate::publish::Publisher;

/// Asks the API for its domains, and for those that were chosen, before a new run begins. The answer is the run's
/// page 0, so that the request is not an extra one.
pub(crate) async fn fetch_first(discovery: &Discovery) -> anyhow::Result<Domains> {
    let domains = discovery.domains().await.with_context(|| {
        format!("no run was begun, because {} can't be crawled (see --api-url)", discovery.url())
    })?;
    discovery.check_domains().await?;
    Ok(domains)
}

/// Publishes what `/domains` declares, as it was fetched before the run began, or else as it is now. Tells whether
/// it was published before `shutdown`.
pub(crate) async fn publish(
    discovery: &Discovery,
    domains: Option<Domains>,
    publisher: &mut Publisher,
    shutdown: &CancellationToken,
) -> anyhow::Result<bool> {
    let domains = match domains {
        Some(domains) => domains,
        None => match shutdown.run_until_cancelled(discovery.domains()).await {
            Some(domains) => domains.context("can't get the list of domains")?,
            None => return Ok(false),
        },
    };
    publisher.domains(domains).await?;
    Ok(true)
}
