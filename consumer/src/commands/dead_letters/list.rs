//! `dead-letters list`.

use std::fmt::Write as _;

use anyhow::Context;
use catalog_shared::human;
use catalog_shared::output;
use serde::Serialize;
use serde_json::json;
use sqlx::{FromRow, PgPool};
use time::OffsetDateTime;

use super::args::SelectionArgs;
use super::row::DeadLetter;
use crate::decode::values::truncated;

/// The number of characters that a line shows of a key or a reason. With the indent and an ellipsis it fits 80 columns.
const WIDTH: usize = 71;

#[derive(FromRow, Serialize)]
struct ListedDeadLetter {
    #[sqlx(flatten)]
    #[serde(flatten)]
    columns: DeadLetter,
    #[serde(serialize_with = "as_text")]
    key: Option<Vec<u8>>,
    /// The length of the value, in bytes.
    value_bytes: Option<i32>,
}

fn as_text<S: serde::Serializer>(key: &Option<Vec<u8>>, serializer: S) -> Result<S::Ok, S::Error> {
    key.as_deref().map(String::from_utf8_lossy).serialize(serializer)
}

pub(super) async fn list(pool: &PgPool, args: &SelectionArgs) -> anyhow::Result<()> {
    let selection = &args.selection;
    let listed: Vec<ListedDeadLetter> =
        sqlx::query_as(include_str!("../../../sql/dead_letters/list_dead_letters.sql"))
            .bind(&selection.ids)
            .bind(selection.region.map(|region| region.name()))
            .bind(selection.run.map(i64::from))
            .bind(selection.all)
            .fetch_all(pool)
            .await
            .context("can't read the dead letters")?;
    let text = if listed.is_empty() { none(selection.all) } else { table(&listed)? };
    Ok(output::print(args.json, &json!({ "dead_letters": listed }), text)?)
}

fn none(all: bool) -> String {
    (if all { "No dead letters." } else { "No open dead letters; --all shows resolved ones too." }).to_owned()
}

/// Three lines for each dead letter: the record, its key and the reason. A fourth line names the cluster, if the record came
/// from an earlier one.
fn table(listed: &[ListedDeadLetter]) -> anyhow::Result<String> {
    let now = OffsetDateTime::now_utc();
    let mut out = String::new();
    writeln!(out, "{:>6}  {:9}  {:>9}  record, key and reason", "id", "state", "age")?;
    for ListedDeadLetter { columns, key, .. } in listed {
        let DeadLetter { id, state, topic, partition, offset, .. } = columns;
        let age = human::span(u64::try_from((now - columns.seen_at).whole_seconds()).unwrap_or_default());
        writeln!(out, "{id:>6}  {state:9}  {age:>9}  {topic}[{partition}]@{offset}")?;
        let key = key.as_deref().map(String::from_utf8_lossy);
        let cluster = (!columns.cluster.is_empty()).then(|| format!("cluster {}", columns.cluster));
        let lines = [key.as_deref(), Some(columns.reason.as_str()), cluster.as_deref()];
        for line in lines.into_iter().flatten() {
            writeln!(out, "        {}", shown(line, WIDTH))?;
        }
    }
    Ok(out)
}

/// The beginning of an untrusted text, on one line and without control characters.
fn shown(text: &str, width: usize) -> String {
    let text = truncated(text);
    let plain = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    let mut shown: String = text.chars().take(width).map(plain).collect();
    if text.chars().nth(width).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::super::row;
    use super::*;

    #[test]
    fn untrusted_text_stays_on_its_line() {
        assert_eq!(shown("a\n\u{1b}[31mb", 20), "a\u{fffd}\u{fffd}[31mb");
        assert_eq!(shown("abcdef", 3), "abc…");
    }

    #[test]
    fn the_cluster_is_listed_only_for_records_of_an_earlier_one() {
        let text = |cluster| {
            let columns = row::example("open", cluster);
            table(&[ListedDeadLetter { columns, key: None, value_bytes: None }]).unwrap()
        };
        assert!(text("c1 until 2026-01-02").contains(
            "
        cluster c1 until 2026-01-02
"
        ));
        assert!(!text("").contains("cluster"));
    }
}
