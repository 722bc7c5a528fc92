//! The dead letters that a command works on.

use anyhow::{Context, bail};
use catalog_shared::exit::Stop;
use sqlx::PgPool;

use super::args::Selection;

/// The selection. An empty one is refused, because "all" must be explicit.
pub(super) fn selected(selection: &Selection) -> Result<&Selection, Stop> {
    if selection.is_empty() {
        return Err(Stop::Usage("choose dead letters with --id, --region, --run or --all".to_owned()));
    }
    Ok(selection)
}

/// The ids of the open dead letters of a selection.
pub(super) async fn find_open(pool: &PgPool, selection: &Selection) -> anyhow::Result<Vec<i64>> {
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
