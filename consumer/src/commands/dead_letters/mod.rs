//! `dead-letters`: what could not be applied, to look at, to try again, or to put aside.

use anyhow::Context;
use catalog_shared::answer;
use catalog_shared::human::counted;
use sqlx::PgPool;

use crate::store::database;

mod args;
mod list;
mod prune;
mod replay;
mod selection;
mod show;

pub(crate) use args::DeadLettersArgs;
use args::{DeadLetterArgs, DeadLettersAction, ReplayArgs, Selection};
use selection::{find_open, selected};

/// Runs `dead-letters`.
///
/// # Errors
/// What the database says, or that letters could not be replayed or are not open.
pub(crate) async fn run(args: DeadLettersArgs) -> anyhow::Result<()> {
    let DeadLettersArgs { action } = args;
    match action {
        DeadLettersAction::List(args) => list::list(&open(&args).await?, &args).await,
        DeadLettersAction::Show(args) => show::show(&database::open(&args.database, 1).await?, &args).await,
        DeadLettersAction::Replay(ReplayArgs { letters: args, thresholds }) => {
            let selection = selected(&args.selection)?;
            replay::replay(&open(&args).await?, selection, thresholds.thresholds(), args.json).await
        }
        DeadLettersAction::Discard(args) => {
            let selection = selected(&args.selection)?;
            discard(&open(&args).await?, selection, args.json).await
        }
        DeadLettersAction::Prune(args) => {
            prune::prune(&database::open(&args.database, 1).await?, &args).await
        }
    }
}

async fn open(args: &DeadLetterArgs) -> anyhow::Result<PgPool> {
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
    let letters = counted(discarded.len() as u64, "dead letter", "dead letters");
    let object = serde_json::json!({ "discarded": discarded });
    Ok(answer::print(json, &object, format!("Discarded {letters}."))?)
}
