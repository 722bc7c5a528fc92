//! `dead-letters list`.

use std::fmt::Write as _;

use anyhow::Context;
use catalog_shared::answer;
use catalog_shared::human;
use serde::Serialize;
use serde_json::json;
use sqlx::types::Json;
use sqlx::{FromRow, PgPool};
use time::OffsetDateTime;

use super::args::DeadLetterArgs;
use crate::decode::values::cut;

/// How many characters of a key and of a reason a line shows; with the indent and an ellipsis 80 columns.
const WIDTH: usize = 71;

#[derive(FromRow, Serialize)]
struct DeadLetter {
    id: i64,
    topic: String,
    partition: i32,
    offset: i64,
    #[serde(serialize_with = "as_text")]
    key: Option<Vec<u8>>,
    /// The length of the value, in bytes.
    value_bytes: Option<i32>,
    headers: Json<serde_json::Value>,
    region: Option<String>,
    run: Option<i64>,
    reason: String,
    state: String,
    counted: bool,
    #[serde(with = "time::serde::rfc3339")]
    seen_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    settled_at: Option<OffsetDateTime>,
}

fn as_text<S: serde::Serializer>(key: &Option<Vec<u8>>, serializer: S) -> Result<S::Ok, S::Error> {
    key.as_deref().map(String::from_utf8_lossy).serialize(serializer)
}

pub(super) async fn list(pool: &PgPool, args: &DeadLetterArgs) -> anyhow::Result<()> {
    let selection = &args.selection;
    let letters: Vec<DeadLetter> =
        sqlx::query_as(include_str!("../../../sql/dead_letters/list_dead_letters.sql"))
            .bind(&selection.ids)
            .bind(selection.region.map(|region| region.name()))
            .bind(selection.run.map(i64::from))
            .bind(selection.all)
            .fetch_all(pool)
            .await
            .context("can't read the dead letters")?;
    let text = if letters.is_empty() { none(selection.all) } else { table(&letters)? };
    Ok(answer::print(args.json, &json!({ "dead_letters": letters }), text)?)
}

fn none(all: bool) -> String {
    (if all { "No dead letters." } else { "No open dead letters; --all shows settled ones too." }).to_owned()
}

/// Each letter in three lines: its place, its key and the reason, none longer than a terminal is wide.
fn table(letters: &[DeadLetter]) -> anyhow::Result<String> {
    let now = OffsetDateTime::now_utc();
    let mut out = String::new();
    writeln!(out, "{:>6}  {:9}  {:>9}  record, key and reason", "id", "state", "age")?;
    for letter in letters {
        let age = human::span(u64::try_from((now - letter.seen_at).whole_seconds()).unwrap_or_default());
        let DeadLetter { id, state, topic, partition, offset, .. } = letter;
        writeln!(out, "{id:>6}  {state:9}  {age:>9}  {topic}[{partition}]@{offset}")?;
        let key = letter.key.as_deref().map(String::from_utf8_lossy);
        for text in [key.as_deref(), Some(letter.reason.as_str())].into_iter().flatten() {
            writeln!(out, "        {}", shown(text, WIDTH))?;
        }
    }
    Ok(out)
}

/// The beginning of a text that a stranger wrote, on one line and without control characters.
fn shown(text: &str, width: usize) -> String {
    let text = cut(text);
    let plain = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    let mut shown: String = text.chars().take(width).map(plain).collect();
    if text.chars().nth(width).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_stranger_wrote_stays_on_its_line() {
        assert_eq!(shown("a\n\u{1b}[31mb", 20), "a\u{fffd}\u{fffd}[31mb");
        assert_eq!(shown("abcdef", 3), "abc…");
    }
}
