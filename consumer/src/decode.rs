//! Decoding: from a record's key and value to a row. Key, value and headers must agree.

use catalog_shared::key::Key;
use catalog_shared::marker::Marker;
use catalog_shared::record::{Content, Kind};
use serde::Deserialize;
use thiserror::Error;

use crate::batch::{Agency, Batch, Dataset, Domain, Host, Marked, Place, Received, Rows, Versioned};
use crate::dataset::DatasetRow;
use crate::mend::mend_text;
use crate::reader::cut;

/// A record that can't be read, and why.
#[derive(Debug, Error)]
#[error("{}[{}] offset {offset}, key {key:?}: {reason}", place.topic, place.partition)]
pub(crate) struct Unreadable {
    pub(crate) place: Place,
    pub(crate) offset: i64,
    pub(crate) key: String,
    pub(crate) reason: String,
}

/// A batch's rows and markers.
pub(crate) struct Decoded {
    pub(crate) rows: Rows,
    pub(crate) markers: Vec<Marked>,
}

impl Batch {
    /// Decodes all records.
    ///
    /// # Errors
    /// The first record that can't be read.
    pub(crate) fn decode(&self) -> Result<Decoded, Unreadable> {
        let mut markers = Vec::new();
        let rows = match self.place.kind {
            Kind::Datasets => Rows::Datasets(self.rows(&mut markers, dataset)?),
            Kind::Domains => Rows::Domains(self.rows(&mut markers, domain)?),
            Kind::Hosts => Rows::Hosts(self.rows(&mut markers, host)?),
            Kind::Agencies => Rows::Agencies(self.rows(&mut markers, agency)?),
        };
        Ok(Decoded { rows, markers })
    }

    fn rows<T>(
        &self,
        markers: &mut Vec<Marked>,
        read: fn(Key<'_>, &[u8]) -> Result<T, String>,
    ) -> Result<Vec<Versioned<T>>, Unreadable> {
        let mut rows = Vec::with_capacity(self.records.len());
        for record in &self.records {
            let row = match record.stamp.content {
                Content::Marker => {
                    markers.push(marked(record).map_err(|reason| self.unreadable(record, reason))?);
                    continue;
                }
                Content::Record(kind) if kind == self.place.kind => {
                    key(record).and_then(|key| read(key, &record.value))
                }
                Content::Record(kind) => Err(format!("the header `kind` says {kind}")),
            };
            let row = row.map_err(|reason| self.unreadable(record, reason))?;
            let Received { offset, stamp, .. } = record;
            let (offset, region, version, observed_at) =
                (*offset, stamp.region, stamp.version, stamp.observed_at);
            rows.push(Versioned { region, version, observed_at, offset, row });
        }
        Ok(rows)
    }

    fn unreadable(&self, record: &Received, reason: String) -> Unreadable {
        let key = String::from_utf8_lossy(&record.key).into_owned();
        Unreadable { place: self.place.clone(), offset: record.offset, key, reason }
    }
}

fn key(record: &Received) -> Result<Key<'_>, String> {
    let text = std::str::from_utf8(&record.key).map_err(|_| "the key is not UTF-8".to_owned())?;
    Key::parse(text, &record.stamp).ok_or_else(|| "the key disagrees with the headers".to_owned())
}

fn marked(record: &Received) -> Result<Marked, String> {
    key(record)?;
    let marker: Box<Marker> = json(&record.value)?;
    if marker.run != record.stamp.version.run {
        return Err(format!(
            "the marker is run {}'s, and its headers say {}",
            marker.run, record.stamp.version.run
        ));
    }
    Ok(Marked { region: record.stamp.region, offset: record.offset, marker })
}

fn json<'a, T: Deserialize<'a>>(value: &'a [u8]) -> Result<T, String> {
    serde_json::from_slice(value).map_err(|error| format!("the value is not what its kind says: {error}"))
}

fn dataset(key: Key<'_>, value: &[u8]) -> Result<Dataset, String> {
    let Key::Dataset { domain, id } = key else { return Err(disagrees()) };
    let value = std::str::from_utf8(value).map_err(|_| "the value is not UTF-8".to_owned())?;
    let content = DatasetRow::read(value, domain, id).map_err(|error| error.to_string())?;
    Ok(Dataset { domain: domain.to_owned(), id: id.to_owned(), content: Box::new(content) })
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
    Ok(Host { host, domain: mend_text(&domain).into_owned() })
}

/// Two names that are the same once mended or cut share a row; the newer version has it.
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
    Ok(Agency { host, agency: cut(&mend_text(&agency)).to_owned() })
}

fn disagrees() -> String {
    "the value disagrees with the key".to_owned()
}

#[cfg(test)]
mod tests {
    use catalog_shared::record::{Stamp, Version};
    use catalog_shared::region::Region;
    use time::OffsetDateTime;

    use super::*;

    fn batch(kind: Kind, content: Content, key: &str, value: &str) -> Batch {
        let version = Version { run: 7, page: 1 };
        let stamp = Stamp { content, region: Region::Us, version, observed_at: OffsetDateTime::UNIX_EPOCH };
        let record = Received { offset: 41, stamp, key: key.into(), value: value.into() };
        let place = Place { kind, topic: format!("socrata.{kind}"), partition: 3 };
        Batch { place, from: 40, to: 42, records: vec![record] }
    }

    fn refusal(kind: Kind, key: &str, value: &str) -> String {
        batch(kind, Content::Record(kind), key, value).decode().err().map(|error| error.to_string()).unwrap()
    }

    #[test]
    fn a_key_and_a_value_must_agree() {
        let value = r#"{"resource":{"id":"aaaa-bbbb"},"metadata":{"domain":"d.example"}}"#;
        let decoded =
            batch(Kind::Datasets, Content::Record(Kind::Datasets), "us/d.example/aaaa-bbbb", value).decode();
        assert!(matches!(decoded.unwrap().rows, Rows::Datasets(rows) if rows.len() == 1));
        assert_eq!(
            refusal(Kind::Datasets, "us/d.example/aaaa-cccc", value),
            "socrata.datasets[3] offset 41, key \"us/d.example/aaaa-cccc\": resource.id is Some(\"aaaa-bbbb\"), \
             and the key says \"aaaa-cccc\""
        );
        assert!(
            refusal(Kind::Hosts, "us/a.example", r#"{"host":"b.example","domain":"d"}"#)
                .contains("disagrees")
        );
        assert!(
            refusal(Kind::Hosts, "eu/a.example", r#"{"host":"a.example","domain":"d"}"#).contains("headers")
        );
    }

    #[test]
    fn a_record_of_another_kind_is_refused() {
        let strange = batch(Kind::Hosts, Content::Record(Kind::Domains), "us/a", "{}").decode();
        assert!(strange.err().unwrap().reason.contains("`kind` says domains"));
    }

    #[test]
    fn a_long_agency_with_a_nul_is_mended_and_cut() {
        let name = format!("\u{0}{}", "x".repeat(5000));
        let value = serde_json::json!({ "host": "a.example", "agency": name }).to_string();
        let decoded =
            batch(Kind::Agencies, Content::Record(Kind::Agencies), &format!("us/a.example/{name}"), &value)
                .decode();
        let Rows::Agencies(rows) = decoded.unwrap().rows else { panic!("agencies") };
        assert!(rows[0].row.agency.starts_with("\u{fffd}xx"));
        assert_eq!(rows[0].row.agency.len(), 1000);
    }
}
