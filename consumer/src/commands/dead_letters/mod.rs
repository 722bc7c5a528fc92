//! `dead-letters`: lists, replays, discards and prunes records that could not be applied.

use anyhow::Context;
use catalog_shared::human::counted;
use catalog_shared::output;
use catalog_shared::shutdown::CancellationToken;
use sqlx::PgPool;

use crate::store::database;

mod args;
mod list;
mod prune;
mod replay;
mod row;
mod selection;
mod show;

pub(crate) use args::DeadLettersArgs;
use args::{DeadLettersCommand, ReplayArgs, Selection, SelectionArgs};
use selection::{find_open, selected};

/// Runs `dead-letters`.
///
/// # Errors
/// The database failed, a dead letter could not be replayed, or a selected dead letter is not open.
/// [`catalog_shared::exit::Stop::Usage`] if nothing is selected or the dead letter to show does not exist, and
/// [`catalog_shared::exit::Stop::Interrupted`] if `shutdown` ends a replay between two dead letters.
pub(crate) async fn run(args: DeadLettersArgs, shutdown: &CancellationToken) -> anyhow::Result<()> {
    match args.command {
        DeadLettersCommand::List(args) => list::list(&open(&args).await?, &args).await,
        DeadLettersCommand::Show(args) => show::show(&database::open(&args.database, 1).await?, &args).await,
        DeadLettersCommand::Replay(ReplayArgs { selected: args, thresholds }) => {
            let selection = selected(&args.selection)?;
            let pool = open(&args).await?;
            let thresholds = thresholds.thresholds();
            replay::replay(&pool, selection, thresholds, args.json, shutdown).await
        }
        DeadLettersCommand::Discard(args) => {
            let selection = selected(&args.selection)?;
            discard(&open(&args).await?, selection, args.json).await
        }
        DeadLettersCommand::Prune(args) => {
            prune::prune(&database::open(&args.database, 1).await?, &args).await
        }
    }
}

async fn open(args: &SelectionArgs) -> anyhow::Result<PgPool> {
    database::open(&args.database, 1).await
}

async fn discard(pool: &PgPool, selection: &Selection, json: bool) -> anyhow::Result<()> {
    let ids = find_open(pool, selection).await?;
    let discarded: Vec<i64> =
        sqlx::query_scalar(include_str!("../../../sql/dead_letters/discard_dead_letters.sql"))
            .bind(&ids)
            .fetch_all(pool)
            .await
            .context("can't discard dead letters")?;
    let dead_letters = counted(discarded.len() as u64, "dead letter", "dead letters");
    let object = serde_json::json!({ "discarded": discarded });
    Ok(output::print(json, &object, format!("Discarded {dead_letters}."))?)
}
