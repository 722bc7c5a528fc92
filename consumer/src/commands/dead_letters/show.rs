//! `dead-letters show`: one dead letter in full.

use std::fmt;

use anyhow::Context;
use catalog_shared::answer;
use catalog_shared::exit::Stop;
use serde::{Serialize, Serializer};
use sqlx::types::Json;
use sqlx::{FromRow, PgPool};
use time::OffsetDateTime;

use super::args::ShowArgs;

#[derive(FromRow, Serialize)]
struct DeadLetter {
    id: i64,
    topic: String,
    partition: i32,
    offset: i64,
    #[serde(serialize_with = "text_or_hex")]
    key: Option<Vec<u8>>,
    #[serde(serialize_with = "text_or_hex")]
    value: Option<Vec<u8>>,
    headers: Json<Vec<(String, serde_json::Value)>>,
    region: Option<String>,
    run: Option<i64>,
    reason: String,
    /// Whether the database refused its row; otherwise the record can't be read.
    refused: bool,
    state: String,
    counted: bool,
    #[serde(with = "time::serde::rfc3339")]
    seen_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    settled_at: Option<OffsetDateTime>,
}

/// Text where the bytes are UTF-8, otherwise an object with the bytes in hex, as headers are stored.
fn text_or_hex<S: Serializer>(bytes: &Option<Vec<u8>>, serializer: S) -> Result<S::Ok, S::Error> {
    let Some(bytes) = bytes else { return serializer.serialize_none() };
    match std::str::from_utf8(bytes) {
        Ok(text) => serializer.serialize_str(text),
        Err(_) => serde_json::json!({ "hex": hex(bytes) }).serialize(serializer),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) async fn show(pool: &PgPool, args: &ShowArgs) -> anyhow::Result<()> {
    let letter: Option<DeadLetter> =
        sqlx::query_as(include_str!("../../../sql/dead_letters/show_dead_letter.sql"))
            .bind(args.id)
            .fetch_optional(pool)
            .await
            .context("can't read the dead letter")?;
    let letter = letter.ok_or_else(|| Stop::Usage(format!("there is no dead letter {}", args.id)))?;
    Ok(answer::print(args.json, &letter, &letter)?)
}

impl fmt::Display for DeadLetter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Dead letter {}: {}", self.id, self.state)?;
        writeln!(f, "  record  {}[{}] offset {}", self.topic, self.partition, self.offset)?;
        writeln!(f, "  reason  {}", plain(&self.reason))?;
        for (name, value) in &self.headers.0 {
            writeln!(f, "  header  {}: {}", plain(name), plain(&header_text(value)))?;
        }
        writeln!(f, "  key     {}", bytes_text(self.key.as_deref(), "none"))?;
        let resolved = self.state != "open";
        let no_value = if resolved { "not kept after the dead letter was resolved" } else { "none" };
        write!(f, "  value   {}", bytes_text(self.value.as_deref(), no_value))
    }
}

fn header_text(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn bytes_text(bytes: Option<&[u8]>, none: &str) -> String {
    match bytes.map(std::str::from_utf8) {
        None => none.to_owned(),
        Some(Ok(text)) => plain(text),
        Some(Err(_)) => format!("not UTF-8, in hex: {}", hex(bytes.unwrap_or_default())),
    }
}

/// Text from outside without control characters, which could rewrite the terminal; line breaks and tabs stay.
fn plain(text: &str) -> String {
    let is_plain = |c: char| !c.is_control() || matches!(c, '\n' | '\t');
    text.chars().map(|c| if is_plain(c) { c } else { char::REPLACEMENT_CHARACTER }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(value: Option<&[u8]>) -> DeadLetter {
        DeadLetter {
            id: 7,
            topic: "socrata.hosts".into(),
            partition: 0,
            offset: 41,
            key: Some(b"us/a.example".to_vec()),
            value: value.map(<[u8]>::to_vec),
            headers: Json(vec![
                ("kind".into(), "hosts".into()),
                ("x".into(), serde_json::json!({"hex":"ff"})),
            ]),
            region: None,
            run: None,
            reason: "missing \u{1b}[31m field".into(),
            refused: false,
            state: if value.is_some() { "open" } else { "discarded" }.into(),
            counted: true,
            seen_at: OffsetDateTime::UNIX_EPOCH,
            settled_at: None,
        }
    }

    #[test]
    fn a_letter_is_printed_in_full_and_can_not_rewrite_the_terminal() {
        let text = letter(Some(b"{\"host\":\n \"a\x07\"}")).to_string();
        for line in ["Dead letter 7: open", "socrata.hosts[0] offset 41", "header  x: {\"hex\":\"ff\"}"] {
            assert!(text.contains(line), "{text}");
        }
        assert!(text.contains("{\"host\":\n \"a\u{fffd}\"}") && !text.contains('\u{1b}'), "{text}");
    }

    #[test]
    fn bytes_that_are_no_text_are_shown_in_hex() {
        let odd = letter(Some(b"\xff\x00"));
        assert!(odd.to_string().contains("in hex: ff00"));
        assert_eq!(serde_json::to_value(&odd).unwrap()["value"], serde_json::json!({"hex": "ff00"}));
        assert!(letter(None).to_string().contains("not kept"));
    }
}
