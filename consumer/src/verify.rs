//! Verifying: what is wrong in the tables.

use anyhow::bail;
use catalog_shared::shutdown::CancellationToken;

use crate::cli::VerifyArgs;
use crate::rebuild;

/// Compares the tables with what the topics give.
///
/// # Errors
/// When they differ, or what kept them from being compared.
pub async fn run(args: &VerifyArgs, shutdown: &CancellationToken) -> anyhow::Result<()> {
    let report = rebuild::compare(&args.replay, shutdown).await?;
    report.print(args.json)?;
    match report.differing() {
        0 => Ok(()),
        rows => bail!("{rows} rows are not what the topics give: `catalog-consumer rebuild` mends them"),
    }
}
