//! `dead-letters list`.

use std::fmt::Write as _;

use anyhow::Context;
use catalog_shared::answer;
use serde::Serialize;
use serde_json::json;
use sqlx::types::Json;
use sqlx::{FromRow, PgPool};
use time::OffsetDateTime;

use super::LettersArgs;
use crate::decode::values::cut;

/// How many characters of a key and of a reason a line shows.
const KEY_WIDTH: usize = 48;
const REASON_WIDTH: usize = 100;

#[derive(FromRow, Serialize)]
struct Letter {
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

pub(super) async fn list(pool: &PgPool, args: &LettersArgs) -> anyhow::Result<()> {
    let selection = &args.selection;
    let letters: Vec<Letter> = sqlx::query_as(include_str!("../../sql/dead_letters/list_dead_letters.sql"))
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

fn table(letters: &[Letter]) -> anyhow::Result<String> {
    let now = OffsetDateTime::now_utc();
    let place = |letter: &Letter| format!("{}[{}]@{}", letter.topic, letter.partition, letter.offset);
    let key = |letter: &Letter| {
        let key = letter.key.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
        shown(&key, KEY_WIDTH)
    };
    let width = |text: &dyn Fn(&Letter) -> String| {
        letters.iter().map(|letter| text(letter).chars().count()).max().unwrap_or(0)
    };
    let (places, keys) = (width(&place), width(&key).max(3));
    let mut out = String::new();
    writeln!(out, "{:>6}  {:9}  {:>4}  {:places$}  {:keys$}  reason", "id", "state", "age", "record", "key")?;
    for letter in letters {
        let age = age((now - letter.seen_at).whole_seconds());
        let (id, state, place, key) = (letter.id, &letter.state, place(letter), key(letter));
        let reason = shown(&letter.reason, REASON_WIDTH);
        writeln!(out, "{id:>6}  {state:9}  {age:>4}  {place:places$}  {key:keys$}  {reason}")?;
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

/// An age in its largest whole unit.
fn age(seconds: i64) -> String {
    match seconds.max(0) {
        seconds @ 0..=119 => format!("{seconds}s"),
        seconds @ 120..=7_199 => format!("{}m", seconds / 60),
        seconds @ 7_200..=172_799 => format!("{}h", seconds / 3600),
        seconds => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_told_in_their_largest_unit() {
        let told: Vec<String> = [5, 119, 120, 7_300, 200_000].into_iter().map(age).collect();
        assert_eq!(told, ["5s", "119s", "2m", "2h", "2d"]);
    }

    #[test]
    fn what_a_stranger_wrote_stays_on_its_line() {
        assert_eq!(shown("a\n\u{1b}[31mb", 20), "a\u{fffd}\u{fffd}[31mb");
        assert_eq!(shown("abcdef", 3), "abc…");
    }
}
