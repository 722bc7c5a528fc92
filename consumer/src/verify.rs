//! Verifying: what is wrong in the tables.

use anyhow::bail;
use catalog_shared::shutdown::CancellationToken;
use clap::Args;

use crate::rebuild::{self, TopicsArgs};

/// How to verify.
#[derive(Args, Debug)]
pub struct VerifyArgs {
    /// Compares the tables with what the topics give, row by row
    #[arg(long, required = true)]
    pub topics: bool,

    /// Ends with one JSON object on standard output in place of text
    #[arg(long)]
    pub json: bool,

    /// How to read the topics.
    #[command(flatten)]
    pub source: TopicsArgs,
}

/// Compares the tables with what the topics give.
///
/// # Errors
/// When they differ, or what kept them from being compared.
pub async fn run(args: &VerifyArgs, shutdown: &CancellationToken) -> anyhow::Result<()> {
    let report = rebuild::compare(&args.source, shutdown).await?;
    report.print(args.json)?;
    match report.differing() {
        0 => Ok(()),
        rows => bail!("{rows} rows are not what the topics give: `catalog-consumer rebuild` mends them"),
    }
}
