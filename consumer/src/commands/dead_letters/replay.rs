//! `dead-letters replay`: applies a dead letter like any record, with its original version. The ledger then counts it by its
//! effect and no longer as dead.

use anyhow::anyhow;
use catalog_shared::exit::Stop;
use catalog_shared::human::counted;
use catalog_shared::output;
use catalog_shared::record::RecordType;
use catalog_shared::shutdown::CancellationToken;
use rdkafka::message::{Header, OwnedHeaders};
use serde_json::{Value, json};
use sqlx::{Connection, FromRow, PgConnection, PgPool};

use super::args::Selection;
use super::selection::find_open;
use crate::config::thresholds::RunThresholds;
use crate::decode::{Decoded, decode};
use crate::model::effect::Effect;
use crate::model::end_of_run::ReceivedEndRecord;
use crate::model::record::Record;
use crate::model::topic::{TopicKind, TopicPartition};
use crate::store::database::with_formatted_text;
use crate::store::dead_letters::storable;
use crate::store::ledger;
use crate::store::rows::{Refused, check_deferred, reason, write_all};
use crate::store::schema_lock::{LockMode, lock};

/// The result of a replay.
enum Replayed {
    /// The name of its effect, or `marker` for an end-of-run record.
    Done(&'static str),
    /// The record still can't be applied.
    Failed(ReplayError),
}

/// Why a dead letter can't be applied.
struct ReplayError {
    reason: String,
    /// Whether the database refused the row. Otherwise the record can't be read.
    refused: bool,
}

impl Replayed {
    const fn unreadable(reason: String) -> Self {
        Self::Failed(ReplayError { reason, refused: false })
    }
}

#[derive(FromRow)]
struct StoredDeadLetter {
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
    shutdown: &CancellationToken,
) -> anyhow::Result<()> {
    let ids = find_open(pool, selection).await?;
    let (mut report, mut error) = (ReplayReport::default(), None);
    for id in &ids {
        // Not within a dead letter, because the outcome of its commit would be unknown.
        if shutdown.is_cancelled() {
            error = Some(Stop::Interrupted("the other dead letters stay open".to_owned()).into());
            break;
        }
        match replay_one(pool, *id, thresholds).await {
            Ok(replayed) => report.add(*id, replayed),
            Err(failed) => {
                error = Some(with_formatted_text(failed.context(format!("dead letter {id}"))));
                break;
            }
        }
    }
    report.print(ids.len(), error, json)
}

/// What was replayed so far. It is printed even if the rest fails, because it is committed.
#[derive(Default)]
struct ReplayReport {
    results: Vec<Value>,
    lines: String,
    failed: usize,
}

impl ReplayReport {
    fn add(&mut self, id: i64, replayed: Replayed) {
        let (effect, reason) = match replayed {
            Replayed::Done(effect) => (effect, None),
            Replayed::Failed(error) => ("failed", Some(error.reason)),
        };
        self.failed += usize::from(reason.is_some());
        let because = reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        self.lines.push_str(&format!("  {id} {effect}{because}\n"));
        self.results.push(json!({ "id": id, "effect": effect, "reason": reason }));
    }

    /// Prints the results of `count` dead letters, of which the last ones are missing if an error ended the replay.
    fn print(self, count: usize, error: Option<anyhow::Error>, json: bool) -> anyhow::Result<()> {
        let Self { results, lines, failed } = self;
        let dead_letters = counted(count as u64, "dead letter", "dead letters");
        let text = format!("Replayed {} of {dead_letters}.\n{lines}", results.len() - failed);
        let answer = json!({ "replayed": results });
        let unapplied = || anyhow!("{failed} of {dead_letters} can't be applied and stay open");
        match error.or_else(|| (failed > 0).then(unapplied)) {
            Some(error) => Err(output::print_failure(json, &answer, text, error)),
            None => Ok(output::print(json, &answer, text)?),
        }
    }
}

async fn replay_one(pool: &PgPool, id: i64, thresholds: RunThresholds) -> anyhow::Result<Replayed> {
    let mut connection = pool.acquire().await?;
    let mut tx = connection.begin().await?;
    let result = match apply_one(&mut tx, id, thresholds).await {
        Ok(Replayed::Done(effect)) => {
            tx.commit().await?;
            return Ok(Replayed::Done(effect));
        }
        Ok(failed) => failed,
        Err(error) => match error.downcast::<Refused>() {
            Ok(Refused(error)) => Replayed::Failed(ReplayError { reason: reason(&error), refused: true }),
            Err(error) => return Err(error),
        },
    };
    tx.rollback().await?;
    if let Replayed::Failed(ReplayError { reason, refused }) = &result {
        sqlx::query(include_str!("../../../sql/dead_letters/record_failed_replay.sql"))
            .bind(id)
            .bind(storable(reason))
            .bind(refused)
            .execute(&mut *connection)
            .await?;
    }
    Ok(result)
}

async fn apply_one(tx: &mut PgConnection, id: i64, thresholds: RunThresholds) -> anyhow::Result<Replayed> {
    // The lock is exclusive, because the record may be an end-of-run record. That is known only after decoding.
    lock(tx, LockMode::Exclusive).await?;
    let stored: Option<StoredDeadLetter> =
        sqlx::query_as(include_str!("../../../sql/dead_letters/lock_dead_letter.sql"))
            .bind(id)
            .fetch_optional(&mut *tx)
            .await?;
    let Some(stored) = stored else { return Ok(Replayed::unreadable("it is no longer open".to_owned())) };
    let (topic_partition, record) = match to_record(stored) {
        Ok(record) => record,
        Err(reason) => return Ok(Replayed::unreadable(reason)),
    };
    let records = [record];
    let Decoded { rows, end_records, dead } = decode(topic_partition.kind, &records);
    if let Some(dead) = dead.into_iter().next() {
        return Ok(Replayed::unreadable(dead.reason));
    }
    let applied = write_all(tx, rows).await?;
    let effect = applied.first().map(|applied| applied.effect);
    resolve(tx, id, effect).await?;
    close_runs(tx, &topic_partition, &end_records, thresholds).await?;
    check_deferred(tx).await?;
    Ok(Replayed::Done(effect.map_or("marker", name)))
}

/// The original record, and its partition.
fn to_record(stored: StoredDeadLetter) -> Result<(TopicPartition, Record), String> {
    let StoredDeadLetter { topic, partition, offset, key, value, headers } = stored;
    let Some(kind) = RecordType::ALL.into_iter().find(|kind| topic.ends_with(kind.name())) else {
        return Err(
            "its producer could not create a record from it, so there is nothing to replay: inspect it, \
                    then discard it"
                .to_owned(),
        );
    };
    let record = Record::read(offset, Some(&headers_from_json(&headers)));
    let record = record.map_err(|schema| {
        format!("it has schema {schema}, which this build can't read: upgrade catalog-consumer")
    })?;
    let topic_partition = TopicPartition { kind: TopicKind::Data(kind), topic, partition };
    Ok((topic_partition, Record { key: key.map(Into::into), value: value.map(Into::into), ..record }))
}

/// The original headers; `model/record.rs` writes the JSON.
fn headers_from_json(headers: &[(String, Value)]) -> OwnedHeaders {
    headers.iter().fold(OwnedHeaders::new(), |all, (key, value)| {
        let hex = value.get("hex").and_then(Value::as_str).map(from_hex);
        let value = value.as_str().map(|text| text.as_bytes().to_vec()).or(hex);
        all.insert(Header { key, value: value.as_deref() })
    })
}

fn from_hex(hex: &str) -> Vec<u8> {
    let byte = |index| hex.get(index..index + 2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
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

/// Marks the dead letter as replayed, and counts its effect in the ledger.
async fn resolve(tx: &mut PgConnection, id: i64, effect: Option<Effect>) -> sqlx::Result<()> {
    let count_of = |wanted| i64::from(effect == Some(wanted));
    sqlx::query(include_str!("../../../sql/dead_letters/resolve_dead_letter.sql"))
        .bind(id)
        .bind(count_of(Effect::New))
        .bind(count_of(Effect::Changed))
        .bind(count_of(Effect::Unchanged))
        .bind(count_of(Effect::Older))
        .execute(tx)
        .await?;
    Ok(())
}

/// Closes the runs that end-of-run records end.
async fn close_runs(
    tx: &mut PgConnection,
    topic_partition: &TopicPartition,
    ends: &[ReceivedEndRecord],
    thresholds: RunThresholds,
) -> anyhow::Result<()> {
    for end in ends {
        ledger::insert_runs(tx, &[(end.region, end.record.run)]).await?;
        ledger::close(tx, topic_partition, end, thresholds).await?;
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
    fn headers_survive_the_round_trip_through_json() {
        let mut headers = OwnedHeaders::new();
        for value in [Some("text".as_bytes()), None, Some(&[0, 255, 16]), Some(b"nul\0"), Some(b"")] {
            headers = headers.insert(Header { key: "a \"name\"", value });
        }
        let json: Vec<(String, Value)> = serde_json::from_str(&to_json(&headers)).unwrap();
        assert_eq!(to_json(&headers_from_json(&json)), to_json(&headers));
        let last = |headers: &OwnedHeaders| {
            use rdkafka::message::Headers;
            headers.iter().map(|header| header.value.map(<[u8]>::to_vec)).collect::<Vec<_>>()
        };
        assert_eq!(last(&headers_from_json(&json)), last(&headers));
    }
}
