//! `dead-letters prune`: deletes dead letters that were resolved a while ago.

use anyhow::Context;
use catalog_shared::human::counted;
use catalog_shared::output;
use serde_json::json;
use sqlx::PgPool;

use super::args::PruneArgs;

pub(super) async fn prune(pool: &PgPool, args: &PruneArgs) -> anyhow::Result<()> {
    // Also in a database that its provider has made read-only because its disk is nearly full: this frees space.
    let mut tx =
        pool.begin_with("begin transaction read write").await.context("can't begin a transaction")?;
    let (pruned, kept): (i64, i64) =
        sqlx::query_as(include_str!("../../../sql/dead_letters/prune_dead_letters.sql"))
            .bind(args.older_than.as_secs_f64())
            .fetch_one(&mut *tx)
            .await
            .context("can't delete dead letters")?;
    tx.commit().await.context("can't commit")?;
    let text = text(pruned, kept);
    Ok(output::print(args.json, &json!({ "pruned": pruned, "needed_by_open_runs": kept }), text)?)
}

fn text(pruned: i64, kept: i64) -> String {
    let dead_letters =
        |count: i64| counted(u64::try_from(count).unwrap_or_default(), "dead letter", "dead letters");
    let kept = match kept {
        0 => String::new(),
        kept => format!(" Kept {}, because the runs they belong to are still open.", dead_letters(kept)),
    };
    format!("Deleted {}.{kept}", dead_letters(pruned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_names_what_was_kept_and_why() {
        assert_eq!(text(1, 0), "Deleted 1 dead letter.");
        let kept = text(0, 2);
        assert!(kept.starts_with("Deleted 0 dead letters. Kept 2 dead letters, because"), "{kept}");
    }
}
