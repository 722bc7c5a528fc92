//! Decodes records to rows. Key, value and headers must agree. A record that can't be decoded becomes a dead letter and
//! does not block the others.

pub(crate) mod asset;
pub(crate) mod canonical;
pub(crate) mod content_hash;
pub(crate) mod dataset;
mod digest;
pub(crate) mod end_record;
pub(crate) mod literal;
pub(crate) mod number;
mod one_pass;
mod role;
pub(crate) mod row_key;
pub(crate) mod rows;
pub(crate) mod sanitize;
pub(crate) mod scan;
pub(crate) mod stats;
pub(crate) mod stored_hash;
pub(crate) mod tree;
pub(crate) mod values;
mod visit;

use catalog_shared::key::Key;
use catalog_shared::record::{self, RecordHeaders, RecordType};
use serde::Deserialize;

use crate::decode::row_key::agency_name;
use crate::decode::rows::{Agency, Dataset, Domain, Host, Rows, Versioned};
use crate::decode::sanitize::sanitize_text;
use crate::model::end_of_run::ReceivedEndRecord;
use crate::model::record::Record;
use crate::model::topic::TopicKind;

/// A record that can't be applied, and the reason.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Dead {
    pub(crate) offset: i64,
    pub(crate) reason: String,
    /// Whether the database refused its row. Otherwise the record can't be read.
    pub(crate) refused: bool,
}

impl Dead {
    /// A record that can't be read.
    const fn unreadable(offset: i64, reason: String) -> Self {
        Self { offset, reason, refused: false }
    }
}

/// The decoded records of a topic.
pub(crate) struct Decoded<'a> {
    pub(crate) rows: Rows<'a>,
    pub(crate) end_records: Vec<ReceivedEndRecord>,
    pub(crate) dead: Vec<Dead>,
}

/// Decodes records of a topic. Each one is a row, an end-of-run record or a dead letter, except superseded ones, which are
/// left out.
pub(crate) fn decode(kind: TopicKind, records: &[Record]) -> Decoded<'_> {
    let (mut ends, mut dead) = (Vec::new(), Vec::new());
    let rows = match kind {
        TopicKind::Data(RecordType::Datasets) => {
            Rows::Datasets(rows(kind, records, dataset, &mut ends, &mut dead))
        }
        TopicKind::Data(RecordType::Domains) => {
            Rows::Domains(rows(kind, records, domain, &mut ends, &mut dead))
        }
        TopicKind::Data(RecordType::Hosts) => Rows::Hosts(rows(kind, records, host, &mut ends, &mut dead)),
        TopicKind::Data(RecordType::Agencies) => {
            Rows::Agencies(rows(kind, records, agency, &mut ends, &mut dead))
        }
        TopicKind::DeadLetters => {
            dead.extend(records.iter().map(|record| Dead::unreadable(record.offset, header_reason(record))));
            Rows::None
        }
    };
    Decoded { rows, end_records: ends, dead }
}

fn rows<'a, T>(
    kind: TopicKind,
    records: &'a [Record],
    read: fn(Key<'a>, &'a [u8]) -> Result<T, String>,
    ends: &mut Vec<ReceivedEndRecord>,
    dead: &mut Vec<Dead>,
) -> Vec<Versioned<T>> {
    let mut rows = Vec::with_capacity(records.len());
    for record in records.iter().filter(|record| !record.superseded) {
        match content(kind, record, read) {
            Ok(Content::Row(row)) => rows.push(row),
            Ok(Content::EndRecord(end)) => ends.push(end),
            Err(reason) => dead.push(Dead::unreadable(record.offset, reason)),
        }
    }
    rows
}

enum Content<T> {
    Row(Versioned<T>),
    EndRecord(ReceivedEndRecord),
}

fn content<'a, T>(
    kind: TopicKind,
    record: &'a Record,
    read: fn(Key<'a>, &'a [u8]) -> Result<T, String>,
) -> Result<Content<T>, String> {
    let stamp = record.stamp.as_ref().map_err(Clone::clone)?;
    let text = record.key.as_deref().ok_or("the record has no key")?;
    let text = std::str::from_utf8(text).map_err(|_| "the key is not UTF-8")?;
    let value = record.value.as_deref().ok_or("the record has no value")?;
    if let record::Content::Record(record_type) = stamp.content
        && TopicKind::Data(record_type) != kind
    {
        return Err(format!("the header `kind` is {record_type}, which belongs to another topic"));
    }
    let key = Key::parse(text, stamp).ok_or("the key disagrees with the headers")?;
    let RecordHeaders { region, version, observed_at, .. } = *stamp;
    let offset = record.offset;
    if stamp.content == record::Content::EndRecord {
        return Ok(Content::EndRecord(ReceivedEndRecord {
            region,
            offset,
            record: end_record::read(value, version.run)?,
        }));
    }
    Ok(Content::Row(Versioned { region, version, observed_at, offset, row: read(key, value)? }))
}

/// The reason that the producer gave in the headers.
fn header_reason(record: &Record) -> String {
    let headers: Vec<(String, serde_json::Value)> =
        serde_json::from_str(&record.headers.to_json()).unwrap_or_default();
    let reason = headers.iter().find(|(name, _)| name == "reason").and_then(|(_, reason)| reason.as_str());
    reason.unwrap_or("the producer gave no reason").to_owned()
}

pub(crate) fn json<'a, T: Deserialize<'a>>(value: &'a [u8]) -> Result<T, String> {
    serde_json::from_slice(value).map_err(|error| format!("the value does not fit its record type: {error}"))
}

fn dataset<'a>(key: Key<'a>, value: &'a [u8]) -> Result<Dataset<'a>, String> {
    let Key::Dataset { domain, id } = key else { return Err(disagrees()) };
    let value = std::str::from_utf8(value).map_err(|_| "the value is not UTF-8".to_owned())?;
    Dataset::scan(value, domain, id).map_err(|error| error.to_string())
}

fn domain(key: Key<'_>, value: &[u8]) -> Result<Domain, String> {
    #[derive(Deserialize)]
    struct Value {
        domain: String,
        declared_count: i64,
    }
    let Value { domain, declared_count } = json(value)?;
    (key == Key::Domain(&domain))
        .then(|| Domain { domain: domain.clone(), declared_count })
        .ok_or_else(disagrees)
}

fn host(key: Key<'_>, value: &[u8]) -> Result<Host, String> {
    #[derive(Deserialize)]
    struct Value {
        host: String,
        domain: String,
    }
    let Value { host, domain } = json(value)?;
    if key != Key::Host(&host) {
        return Err(disagrees());
    }
    Ok(Host { host, domain: sanitize_text(&domain).into_owned() })
}

fn agency(key: Key<'_>, value: &[u8]) -> Result<Agency, String> {
    #[derive(Deserialize)]
    struct Value {
        host: String,
        agency: String,
    }
    let Value { host, agency } = json(value)?;
    if key != (Key::Agency { host: &host, agency: &agency }) {
        return Err(disagrees());
    }
    Ok(Agency { host, agency: agency_name(&agency).into_owned() })
}

fn disagrees() -> String {
    "the value disagrees with the key".to_owned()
}

#[cfg(test)]
mod tests {
    use catalog_shared::record::{Content, Version};
    use catalog_shared::region::Region;
    use time::OffsetDateTime;

    use super::*;
    use crate::decode::row_key::row_key;

    fn record(content: Content, key: &str, value: &str) -> Record {
        let version = Version { run: 7, page: 1 };
        let stamp =
            RecordHeaders { content, region: Region::Us, version, observed_at: OffsetDateTime::UNIX_EPOCH };
        let record = Record::read(41, Some(&stamp.to_headers())).unwrap();
        Record { key: Some(key.to_owned().into()), value: Some(value.to_owned().into()), ..record }
    }

    fn refusal(kind: RecordType, record: Record) -> String {
        let records = [record];
        let Decoded { end_records, mut dead, .. } = decode(TopicKind::Data(kind), &records);
        assert!(end_records.is_empty() && dead.len() == 1 && dead[0].offset == 41);
        dead.remove(0).reason
    }

    #[test]
    fn the_key_of_a_row_is_that_of_the_decoded_row() {
        let agency = Content::Record(RecordType::Agencies);
        let name = format!("Parks\u{0} & {}", "x".repeat(3000));
        let text = format!("us/a.example/{name}");
        let value = serde_json::json!({ "host": "a.example", "agency": name }).to_string();
        let records = [record(agency, &text, &value)];
        let Rows::Agencies(rows) = decode(TopicKind::Data(RecordType::Agencies), &records).rows else {
            panic!("not agencies")
        };
        assert_ne!(rows[0].row.agency, name);
        let key = vec!["us".to_owned(), "a.example".to_owned(), rows[0].row.agency.clone()];
        assert_eq!(row_key(&records[0]), Some((RecordType::Agencies, key)));
        assert_eq!(row_key(&record(Content::EndRecord, "us/#run/7", "{}")), None);
    }

    #[test]
    fn a_key_and_a_value_must_agree() {
        let value = r#"{"resource":{"id":"aaaa-bbbb"},"metadata":{"domain":"d.example"}}"#;
        let kind = TopicKind::Data(RecordType::Datasets);
        let dataset = |key| record(Content::Record(RecordType::Datasets), key, value);
        let records = [dataset("us/d.example/aaaa-bbbb")];
        let decoded = decode(kind, &records);
        assert!(matches!(decoded.rows, Rows::Datasets(rows) if rows.len() == 1) && decoded.dead.is_empty());
        assert_eq!(
            refusal(RecordType::Datasets, dataset("us/d.example/aaaa-cccc")),
            "resource.id is Some(\"aaaa-bbbb\"), but the key has \"aaaa-cccc\""
        );
        let host =
            |key| record(Content::Record(RecordType::Hosts), key, r#"{"host":"b.example","domain":"d"}"#);
        assert!(refusal(RecordType::Hosts, host("us/a.example")).contains("value disagrees"));
        assert!(refusal(RecordType::Hosts, host("eu/b.example")).contains("headers"));
    }

    #[test]
    fn a_record_of_another_kind_or_without_key_or_value_is_dead() {
        let domain = || record(Content::Record(RecordType::Domains), "us/a", "{}");
        assert!(refusal(RecordType::Hosts, domain()).contains("`kind` is domains"));
        assert!(refusal(RecordType::Domains, Record { key: None, ..domain() }).contains("no key"));
        assert!(refusal(RecordType::Domains, Record { value: None, ..domain() }).contains("no value"));
        let key = Some(b"us/\xff".to_vec());
        assert!(
            refusal(RecordType::Domains, Record { key: key.map(Into::into), ..domain() })
                .contains("not UTF-8")
        );
        let stamp = Err("the header `run` is missing".to_owned());
        assert!(refusal(RecordType::Domains, Record { stamp, ..domain() }).contains("`run` is missing"));
    }

    #[test]
    fn a_long_agency_with_a_nul_is_sanitized_and_truncated() {
        let name = format!("\u{0}{}", "x".repeat(5000));
        let value = serde_json::json!({ "host": "a.example", "agency": name }).to_string();
        let agency = record(Content::Record(RecordType::Agencies), &format!("us/a.example/{name}"), &value);
        let records = [agency];
        let decoded = decode(TopicKind::Data(RecordType::Agencies), &records);
        let Rows::Agencies(rows) = decoded.rows else { panic!("agencies") };
        assert!(rows[0].row.agency.starts_with("\u{fffd}xx"));
        assert_eq!(rows[0].row.agency.len(), 1000);
    }
}
