//! `dead-letters replay`: a letter goes the way of any record, with its own version, and the books move it
//! from the dead to what became of it.

use std::fmt::Write as _;

use anyhow::{Context, anyhow};
use catalog_shared::answer;
use catalog_shared::human::counted;
use catalog_shared::record::Kind;
use rdkafka::message::{Header, OwnedHeaders};
use serde_json::{Value, json};
use sqlx::{Connection, FromRow, PgConnection, PgPool};

use super::args::Selection;
use super::selection::find_open;
use crate::config::thresholds::RunThresholds;
use crate::decode::{Decoded, decode};
use crate::model::effect::Effect;
use crate::model::end_of_run::EndOfRun;
use crate::model::record::Record;
use crate::model::topic::{TopicKind, TopicPartition};
use crate::store::dead_letters::storable;
use crate::store::ledger;
use crate::store::rows::{Refused, check_deferred, reason, write_all};
use crate::store::schema_lock::lock;

/// What became of a letter.
enum Replayed {
    /// The word for its effect.
    Done(&'static str),
    /// It still can't be applied.
    Failed(Fault),
}

/// Why a letter can't be applied.
struct Fault {
    reason: String,
    /// Whether the database refused its row; otherwise the record can't be read.
    refused: bool,
}

impl Replayed {
    const fn unreadable(reason: String) -> Self {
        Self::Failed(Fault { reason, refused: false })
    }
}

#[derive(FromRow)]
struct DeadLetter {
    topic: String,
    partition: i32,
    offset: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: sqlx::types::Json<Vec<(String, Value)>>,
}

pub(super) async fn replay(
    pool: &PgPool,
    selection: &Selection,
    thresholds: RunThresholds,
    json: bool,
) -> anyhow::Result<()> {
    let (mut results, mut lines, mut failed) = (Vec::new(), String::new(), 0);
    let ids = find_open(pool, selection).await?;
    for id in &ids {
        let (word, reason) =
            match replay_one(pool, *id, thresholds).await.with_context(|| format!("dead letter {id}"))? {
                Replayed::Done(effect) => (effect, None),
                Replayed::Failed(fault) => ("failed", Some(fault.reason)),
            };
        failed += usize::from(reason.is_some());
        let because = reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        writeln!(lines, "  {id} {word}{because}")?;
        results.push(json!({ "id": id, "effect": word, "reason": reason }));
    }
    let (replayed, count) = (ids.len() - failed, ids.len());
    let letters = counted(count as u64, "dead letter", "dead letters");
    let text = format!("Replayed {replayed} of {letters}.\n{lines}");
    let answer = json!({ "replayed": results });
    if failed > 0 {
        let error = anyhow!("{failed} of {letters} can't be applied and stay open");
        return Err(answer::print_failure(json, &answer, text, error));
    }
    Ok(answer::print(json, &answer, text)?)
}

async fn replay_one(pool: &PgPool, id: i64, thresholds: RunThresholds) -> anyhow::Result<Replayed> {
    let mut connection = pool.acquire().await?;
    let mut tx = connection.begin().await?;
    let effect = match try_one(&mut tx, id, thresholds).await {
        Ok(Replayed::Done(effect)) => {
            tx.commit().await?;
            return Ok(Replayed::Done(effect));
        }
        Ok(failed) => failed,
        Err(error) => match error.downcast::<Refused>() {
            Ok(Refused(error)) => Replayed::Failed(Fault { reason: reason(&error), refused: true }),
            Err(error) => return Err(error),
        },
    };
    tx.rollback().await?;
    if let Replayed::Failed(Fault { reason, refused }) = &effect {
        sqlx::query(include_str!("../../../sql/dead_letters/keep_dead_letter.sql"))
            .bind(id)
            .bind(storable(reason))
            .bind(refused)
            .execute(&mut *connection)
            .await?;
    }
    Ok(effect)
}

async fn try_one(tx: &mut PgConnection, id: i64, thresholds: RunThresholds) -> anyhow::Result<Replayed> {
    // Alone where it may be a marker, and that is known only once it is read.
    lock(tx, true).await?;
    let letter: Option<DeadLetter> =
        sqlx::query_as(include_str!("../../../sql/dead_letters/hold_dead_letter.sql"))
            .bind(id)
            .fetch_optional(&mut *tx)
            .await?;
    let Some(letter) = letter else { return Ok(Replayed::unreadable("it is not open any more".to_owned())) };
    let (place, record) = match read(letter) {
        Ok(read) => read,
        Err(reason) => return Ok(Replayed::unreadable(reason)),
    };
    let Decoded { rows, markers, dead } = decode(place.kind, &[record]);
    if let Some(dead) = dead.into_iter().next() {
        return Ok(Replayed::unreadable(dead.reason));
    }
    let applied = write_all(tx, rows).await?;
    let effect = applied.first().map(|applied| applied.effect);
    resolve(tx, id, effect).await?;
    enter_markers(tx, &place, &markers, thresholds).await?;
    check_deferred(tx).await?;
    Ok(Replayed::Done(effect.map_or("marker", name)))
}

/// The record as it came, and where from.
fn read(letter: DeadLetter) -> Result<(TopicPartition, Record), String> {
    let DeadLetter { topic, partition, offset, key, value, headers } = letter;
    let Some(kind) = Kind::ALL.into_iter().find(|kind| topic.ends_with(kind.name())) else {
        return Err(
            "its producer could not make a record of it, so there is nothing to replay: look at it, \
                    then discard it"
                .to_owned(),
        );
    };
    let record = Record::read(offset, Some(&from_json(&headers)));
    let record = record.map_err(|schema| format!("it has schema {schema}: upgrade this program"))?;
    let place = TopicPartition { kind: TopicKind::Data(kind), topic, partition };
    Ok((place, Record { key: key.map(Into::into), value: value.map(Into::into), ..record }))
}

/// Headers as they were; `model::record` writes them.
fn from_json(headers: &[(String, Value)]) -> OwnedHeaders {
    headers.iter().fold(OwnedHeaders::new(), |all, (key, value)| {
        let hex = value.get("hex").and_then(Value::as_str).map(bytes);
        let value = value.as_str().map(|text| text.as_bytes().to_vec()).or(hex);
        all.insert(Header { key, value: value.as_deref() })
    })
}

fn bytes(hex: &str) -> Vec<u8> {
    let byte = |place| hex.get(place..place + 2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
    (0..hex.len()).step_by(2).filter_map(byte).collect()
}

const fn name(effect: Effect) -> &'static str {
    match effect {
        Effect::New => "new",
        Effect::Changed => "changed",
        Effect::Unchanged => "unchanged",
        Effect::Older => "older",
    }
}

/// Settles the letter, and moves it in the books where they count it.
async fn resolve(tx: &mut PgConnection, id: i64, effect: Option<Effect>) -> sqlx::Result<()> {
    let is = |wanted| i64::from(effect == Some(wanted));
    sqlx::query(include_str!("../../../sql/dead_letters/settle_dead_letter.sql"))
        .bind(id)
        .bind(is(Effect::New))
        .bind(is(Effect::Changed))
        .bind(is(Effect::Unchanged))
        .bind(is(Effect::Older))
        .execute(tx)
        .await?;
    Ok(())
}

async fn enter_markers(
    tx: &mut PgConnection,
    place: &TopicPartition,
    markers: &[EndOfRun],
    thresholds: RunThresholds,
) -> anyhow::Result<()> {
    for marked in markers {
        ledger::open_runs(tx, &[(marked.region, marked.marker.run)]).await?;
        ledger::close(tx, place, marked, thresholds).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::arena::Arena;
    use crate::model::headers::RawHeaders;

    fn to_json(headers: &OwnedHeaders) -> String {
        RawHeaders::copy(headers, &mut Arena::exact()).to_json()
    }

    #[test]
    fn headers_come_back_as_they_were() {
        let mut headers = OwnedHeaders::new();
        for value in [Some("text".as_bytes()), None, Some(&[0, 255, 16]), Some(b"nul\0"), Some(b"")] {
            headers = headers.insert(Header { key: "a \"name\"", value });
        }
        let json: Vec<(String, Value)> = serde_json::from_str(&to_json(&headers)).unwrap();
        assert_eq!(to_json(&from_json(&json)), to_json(&headers));
        let last = |headers: &OwnedHeaders| {
            use rdkafka::message::Headers;
            headers.iter().map(|header| header.value.map(<[u8]>::to_vec)).collect::<Vec<_>>()
        };
        assert_eq!(last(&from_json(&json)), last(&headers));
    }
}
