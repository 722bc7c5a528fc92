//! Page 0 of a run: the answer of `/domains`.

use anyhow::Context;
use tokio_util::sync::CancellationToken;

use crate::api::Discovery;
use crate::model::domains::Domains;
use crate::publish::Publisher;

/// Requests `/domains` and checks the selected domains before a new run starts. The answer becomes page 0 of the run, so
/// this is not an extra request.
pub(crate) async fn fetch_before_run(discovery: &Discovery) -> anyhow::Result<Domains> {
    let domains = discovery.domains().await.with_context(|| {
        format!("no run was started, because {} can't be crawled (see --api-url)", discovery.url())
    })?;
    discovery.check_domains().await?;
    Ok(domains)
}

/// Publishes the answer of `/domains`: the one that was fetched before the run started, or else a new one. Returns
/// whether it was published before `shutdown`.
pub(crate) async fn publish(
    discovery: &Discovery,
    domains: Option<Domains>,
    publisher: &mut Publisher,
    shutdown: &CancellationToken,
) -> anyhow::Result<bool> {
    let domains = match domains {
        Some(domains) => domains,
        None => match shutdown.run_until_cancelled(discovery.domains()).await {
            Some(domains) => domains.context("can't fetch the list of domains")?,
            None => return Ok(false),
        },
    };
    publisher.domains(domains).await?;
    Ok(true)
}
