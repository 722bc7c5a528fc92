//! `dead-letters prune`: deletes what was resolved a while ago.

use anyhow::Context;
use catalog_shared::answer;
use serde_json::json;
use sqlx::PgPool;

use super::args::PruneArgs;

pub(super) async fn prune(pool: &PgPool, args: &PruneArgs) -> anyhow::Result<()> {
    let (pruned, needed): (i64, i64) =
        sqlx::query_as(include_str!("../../../sql/dead_letters/prune_dead_letters.sql"))
            .bind(args.older_than.as_secs_f64())
            .fetch_one(pool)
            .await
            .context("can't delete dead letters")?;
    let text = text(pruned, needed);
    Ok(answer::print(args.json, &json!({ "pruned": pruned, "needed_by_open_runs": needed }), text)?)
}

fn text(pruned: i64, needed: i64) -> String {
    let letters =
        |count: i64| if count == 1 { "1 dead letter".to_owned() } else { format!("{count} dead letters") };
    let kept = match needed {
        0 => String::new(),
        needed => format!(" Kept {}, because the runs they belong to are still open.", letters(needed)),
    };
    format!("Deleted {}.{kept}", letters(pruned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_says_what_was_kept_and_why() {
        assert_eq!(text(1, 0), "Deleted 1 dead letter.");
        let kept = text(0, 2);
        assert!(kept.starts_with("Deleted 0 dead letters. Kept 2 dead letters, because"), "{kept}");
    }
}
