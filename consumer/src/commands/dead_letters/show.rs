//! `dead-letters show`: one dead letter in full.

use std::fmt;

use anyhow::Context;
use catalog_shared::exit::Stop;
use catalog_shared::output;
use serde::{Serialize, Serializer};
use sqlx::{FromRow, PgPool};

use super::args::ShowArgs;
use super::row::DeadLetter;

#[derive(FromRow, Serialize)]
struct ShownDeadLetter {
    #[sqlx(flatten)]
    #[serde(flatten)]
    columns: DeadLetter,
    #[serde(serialize_with = "text_or_hex")]
    key: Option<Vec<u8>>,
    #[serde(serialize_with = "text_or_hex")]
    value: Option<Vec<u8>>,
    /// Whether the database refused the row. Otherwise the record can't be read.
    refused: bool,
}

/// Text if the bytes are UTF-8. Otherwise an object with the bytes in hex, as headers are stored.
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
    let found: Option<ShownDeadLetter> =
        sqlx::query_as(include_str!("../../../sql/dead_letters/show_dead_letter.sql"))
            .bind(args.id)
            .fetch_optional(pool)
            .await
            .context("can't read the dead letter")?;
    let shown = found.ok_or_else(|| Stop::Usage(format!("there is no dead letter {}", args.id)))?;
    Ok(output::print(args.json, &shown, &shown)?)
}

impl fmt::Display for ShownDeadLetter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DeadLetter { id, cluster, topic, partition, offset, state, reason, headers, .. } = &self.columns;
        writeln!(f, "Dead letter {id}: {state}")?;
        writeln!(f, "  record  {topic}[{partition}] offset {offset}")?;
        if !cluster.is_empty() {
            writeln!(f, "  cluster {}", plain(cluster))?;
        }
        writeln!(f, "  reason  {}", plain(reason))?;
        for (name, value) in &headers.0 {
            writeln!(f, "  header  {}: {}", plain(name), plain(&header_text(value)))?;
        }
        writeln!(f, "  key     {}", bytes_text(self.key.as_deref(), "none"))?;
        let is_resolved = state != "open";
        let no_value = if is_resolved { "not kept after the dead letter was resolved" } else { "none" };
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

/// An untrusted text without control characters, because these could rewrite the terminal. Line breaks and tabs stay.
fn plain(text: &str) -> String {
    let is_plain = |c: char| !c.is_control() || matches!(c, '\n' | '\t');
    text.chars().map(|c| if is_plain(c) { c } else { char::REPLACEMENT_CHARACTER }).collect()
}

#[cfg(test)]
mod tests {
    use super::super::row;
    use super::*;

    fn dead_letter(value: Option<&[u8]>, cluster: &str) -> ShownDeadLetter {
        ShownDeadLetter {
            columns: row::example(if value.is_some() { "open" } else { "discarded" }, cluster),
            key: Some(b"us/a.example".to_vec()),
            value: value.map(<[u8]>::to_vec),
            refused: false,
        }
    }

    #[test]
    fn a_dead_letter_is_printed_in_full_and_can_not_rewrite_the_terminal() {
        let text = dead_letter(Some(b"{\"host\":\n \"a\x07\"}"), "").to_string();
        for line in ["Dead letter 7: open", "socrata.hosts[0] offset 41", "header  x: {\"hex\":\"ff\"}"] {
            assert!(text.contains(line), "{text}");
        }
        assert!(text.contains("{\"host\":\n \"a\u{fffd}\"}") && !text.contains('\u{1b}'), "{text}");
        assert!(!text.contains("cluster"), "{text}");
        let of_earlier_cluster = dead_letter(None, "c1 until 2026-01-02");
        assert!(of_earlier_cluster.to_string().contains("\n  cluster c1 until 2026-01-02\n"));
        assert_eq!(serde_json::to_value(&of_earlier_cluster).unwrap()["cluster"], "c1 until 2026-01-02");
    }

    #[test]
    fn bytes_that_are_not_utf_8_are_shown_in_hex() {
        let odd = dead_letter(Some(b"\xff\x00"), "");
        assert!(odd.to_string().contains("in hex: ff00"));
        assert_eq!(serde_json::to_value(&odd).unwrap()["value"], serde_json::json!({"hex": "ff00"}));
        assert!(dead_letter(None, "").to_string().contains("not kept"));
    }
}
