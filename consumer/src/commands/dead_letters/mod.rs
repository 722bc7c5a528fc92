//! `dead-letters`: what could not be applied, to look at, to try again, or to put aside.

use anyhow::{Context, bail};
use catalog_shared::answer;
use catalog_shared::exit::Stop;
use catalog_shared::human::counted;
use sqlx::PgPool;

use crate::store::database;

mod args;
mod list;
mod prune;
mod replay;
mod show;

pub(crate) use args::DeadLettersArgs;
use args::{LettersAction, LettersArgs, ReplayArgs, Selection};

/// Runs `dead-letters`.
///
/// # Errors
/// What the database says, or that letters could not be replayed or are not open.
pub(crate) async fn run(args: DeadLettersArgs) -> anyhow::Result<()> {
    let DeadLettersArgs { action } = args;
    match action {
        LettersAction::List(args) => list::list(&open(&args).await?, &args).await,
        LettersAction::Show(args) => show::show(&database::open(&args.database, 1).await?, &args).await,
        LettersAction::Replay(ReplayArgs { letters: args, thresholds }) => {
            let selection = selected(&args.selection)?;
            replay::replay(&open(&args).await?, selection, thresholds.thresholds(), args.json).await
        }
        LettersAction::Discard(args) => {
            let selection = selected(&args.selection)?;
            discard(&open(&args).await?, selection, args.json).await
        }
        LettersAction::Prune(args) => prune::prune(&database::open(&args.database, 1).await?, &args).await,
    }
}

async fn open(args: &LettersArgs) -> anyhow::Result<PgPool> {
    database::open(&args.database, 1).await
}

/// A selection that names something: nobody means all by saying nothing.
fn selected(selection: &Selection) -> Result<&Selection, Stop> {
    if selection.is_empty() {
        return Err(Stop::Usage("which ones? --id, --region, --run, or --all of the open ones".to_owned()));
    }
    Ok(selection)
}

/// The open letters of a selection.
async fn find_open(pool: &PgPool, selection: &Selection) -> anyhow::Result<Vec<i64>> {
    let ids: Vec<i64> = sqlx::query_scalar(include_str!("../../../sql/dead_letters/find_dead_letters.sql"))
        .bind(&selection.ids)
        .bind(selection.region.map(|region| region.name()))
        .bind(selection.run.map(i64::from))
        .fetch_all(pool)
        .await
        .context("can't read the dead letters")?;
    if let Some(id) = selection.ids.iter().find(|id| !ids.contains(id)) {
        bail!("there is no open dead letter {id} in this selection");
    }
    Ok(ids)
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
