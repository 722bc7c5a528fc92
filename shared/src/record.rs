//! The record format: record types, versions and headers.
//!
//! A record's key is the primary key of its row, joined by `/` and prefixed with the region. The headers contain its type
//! and when it was observed. The value is JSON; for datasets it is the API's result object byte for byte.

use std::fmt;
use std::str::FromStr;

use rdkafka::message::{Header, Headers, OwnedHeaders};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

use crate::region::Region;

/// The schema that this build writes, and the newest one that it reads.
pub const SCHEMA: u32 = 1;

/// The type of a record. Each type has its own topic and table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RecordType {
    /// A dataset, chart, map, file …: one result object of the API.
    Datasets,
    /// A domain with the count that `/domains` declares.
    Domains,
    /// A host name of assets.
    Hosts,
    /// An agency: the attribution of assets on a host.
    Agencies,
}

impl RecordType {
    /// All record types.
    pub const ALL: [Self; 4] = [Self::Datasets, Self::Domains, Self::Hosts, Self::Agencies];

    /// The name in topics, headers and tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Datasets => "datasets",
            Self::Domains => "domains",
            Self::Hosts => "hosts",
            Self::Agencies => "agencies",
        }
    }
}

impl fmt::Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The version of a record, which orders all records of a key: the run, then the page within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// The run's number, from 1.
    pub run: u32,
    /// The page's number within the run, in order of publishing; 0 is the answer of `/domains`.
    pub page: u32,
}

/// The content of a record, from its `kind` header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// A catalog record.
    Record(RecordType),
    /// An end-of-run record of one partition.
    EndRecord,
}

impl Content {
    const MARKER: &'static str = "marker";

    const fn name(self) -> &'static str {
        match self {
            Self::Record(kind) => kind.name(),
            Self::EndRecord => Self::MARKER,
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        if name == Self::MARKER {
            return Some(Self::EndRecord);
        }
        RecordType::ALL.into_iter().find(|kind| kind.name() == name).map(Self::Record)
    }
}

/// The headers of a record on a data topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordHeaders {
    /// The content of the record.
    pub content: Content,
    /// The region it was crawled from.
    pub region: Region,
    /// The run and page that published it.
    pub version: Version,
    /// When the answer with it arrived.
    pub observed_at: OffsetDateTime,
}

/// Why a record's headers can't be read.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum StampError {
    /// A mandatory header is missing.
    #[error("the header `{0}` is missing")]
    Missing(&'static str),
    /// A header has an invalid value.
    #[error("the header `{name}` is {value:?}, which is not {rule}")]
    Invalid {
        /// The header's name.
        name: &'static str,
        /// Its value.
        value: String,
        /// What the value should be.
        rule: &'static str,
    },
    /// A newer build wrote the record, so its other headers may have another meaning.
    #[error(
        "the record has schema {found}, and this build reads schemas up to {SCHEMA}: upgrade the consumer"
    )]
    NewerSchema {
        /// The schema of the record.
        found: u32,
    },
}

const KIND: &str = "kind";
const SCHEMA_HEADER: &str = "schema";
const REGION: &str = "region";
const RUN: &str = "run";
const PAGE: &str = "page";
const OBSERVED_AT: &str = "observed_at";

impl RecordHeaders {
    /// The headers as Kafka headers, all of them text.
    #[must_use]
    pub fn to_headers(&self) -> OwnedHeaders {
        let observed_at = self.observed_at.format(&Rfc3339).unwrap_or_default();
        OwnedHeaders::new_with_capacity(6)
            .insert(Header { key: KIND, value: Some(self.content.name()) })
            .insert(Header { key: SCHEMA_HEADER, value: Some(&SCHEMA.to_string()) })
            .insert(Header { key: REGION, value: Some(self.region.name()) })
            .insert(Header { key: RUN, value: Some(&self.version.run.to_string()) })
            .insert(Header { key: PAGE, value: Some(&self.version.page.to_string()) })
            .insert(Header { key: OBSERVED_AT, value: Some(&observed_at) })
    }

    /// Reads the headers of a record.
    ///
    /// # Errors
    /// [`StampError::NewerSchema`] before any other header is checked, otherwise the first missing or invalid header.
    pub fn from_headers(headers: Option<&impl Headers>) -> Result<Self, StampError> {
        let headers = headers.ok_or(StampError::Missing(SCHEMA_HEADER))?;
        let schema: u32 = number(find(headers, SCHEMA_HEADER), SCHEMA_HEADER)?;
        if schema > SCHEMA {
            return Err(StampError::NewerSchema { found: schema });
        }
        let [kind, region, run, page, observed_at] =
            find_all(headers, [KIND, REGION, RUN, PAGE, OBSERVED_AT]);
        Ok(Self {
            content: parse_header(kind, KIND, "a record type", Content::from_name)?,
            region: parse_header(region, REGION, "a region", Region::from_name)?,
            version: Version { run: number(run, RUN)?, page: number(page, PAGE)? },
            observed_at: parse_header(observed_at, OBSERVED_AT, "an RFC 3339 time", time)?,
        })
    }

    /// The region and the run in the headers, even if other headers are invalid. `None` for an end-of-run record, which is not
    /// one of a run's records.
    #[must_use]
    pub fn origin(headers: Option<&impl Headers>) -> Option<(Region, u32)> {
        let [kind, region, run] = find_all(headers?, [KIND, REGION, RUN]);
        let is_end_record =
            parse_header(kind, KIND, "a record type", Content::from_name) == Ok(Content::EndRecord);
        let region = parse_header(region, REGION, "a region", Region::from_name).ok()?;
        let run = number(run, RUN).ok()?;
        (!is_end_record).then_some((region, run))
    }
}

/// A time in UTC. Some valid texts are out of range in UTC.
fn time(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text, &Rfc3339).ok()?.checked_to_offset(UtcOffset::UTC)
}

/// The value of the first header with this name. Later headers are not visited.
fn find<'h>(headers: &'h impl Headers, name: &str) -> Option<&'h [u8]> {
    headers.iter().find(|header| header.key == name).and_then(|header| header.value)
}

/// The values of the first headers with these names. One pass, because each visited header is looked up and checked. Headers
/// after the last of them are not visited.
fn find_all<'h, const N: usize>(headers: &'h impl Headers, names: [&str; N]) -> [Option<&'h [u8]>; N] {
    let mut found = [None; N];
    for header in headers.iter() {
        if let Some(place) = names.iter().position(|name| *name == header.key) {
            found[place] = found[place].or(Some(header.value));
        }
        if found.iter().all(Option::is_some) {
            break;
        }
    }
    found.map(Option::flatten)
}

fn number<T: FromStr>(value: Option<&[u8]>, name: &'static str) -> Result<T, StampError> {
    parse_header(value, name, "a whole number", |text| text.parse().ok())
}

fn parse_header<T>(
    value: Option<&[u8]>,
    name: &'static str,
    rule: &'static str,
    read: impl Fn(&str) -> Option<T>,
) -> Result<T, StampError> {
    let bytes = value.ok_or(StampError::Missing(name))?;
    std::str::from_utf8(bytes).ok().and_then(&read).ok_or_else(|| StampError::Invalid {
        name,
        value: String::from_utf8_lossy(bytes).into_owned(),
        rule,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(content: Content) -> RecordHeaders {
        RecordHeaders {
            content,
            region: Region::Eu,
            version: Version { run: 7, page: 12 },
            observed_at: OffsetDateTime::from_unix_timestamp(1_700_000_000).unwrap(),
        }
    }

    #[test]
    fn headers_are_parsed_as_they_were_written() {
        for content in RecordType::ALL.map(Content::Record).into_iter().chain([Content::EndRecord]) {
            let sent = stamp(content);
            assert_eq!(RecordHeaders::from_headers(Some(&sent.to_headers())), Ok(sent));
        }
    }

    #[test]
    fn a_newer_schema_is_detected_even_if_other_headers_are_missing() {
        let headers = OwnedHeaders::new().insert(Header { key: "schema", value: Some("2") });
        assert_eq!(RecordHeaders::from_headers(Some(&headers)), Err(StampError::NewerSchema { found: 2 }));
    }

    #[test]
    fn a_time_out_of_range_in_utc_is_refused_and_the_origin_is_still_readable() {
        let mut headers = OwnedHeaders::new();
        for (key, value) in
            [("kind", "hosts"), ("schema", "1"), ("region", "eu"), ("run", "7"), ("page", "1")]
        {
            headers = headers.insert(Header { key, value: Some(value) });
        }
        let late = Some("9999-12-31T23:59:59-01:00");
        let headers = headers.insert(Header { key: "observed_at", value: late });
        assert!(matches!(RecordHeaders::from_headers(Some(&headers)), Err(StampError::Invalid { .. })));
        assert_eq!(RecordHeaders::origin(Some(&headers)), Some((Region::Eu, 7)));
        assert_eq!(RecordHeaders::origin(Some(&stamp(Content::EndRecord).to_headers())), None);
    }

    #[test]
    fn the_first_header_of_a_name_counts_even_without_a_value() {
        let sent = stamp(Content::EndRecord);
        let repeated = sent.to_headers().insert(Header { key: "run", value: Some("8") });
        assert_eq!(RecordHeaders::from_headers(Some(&repeated)), Ok(sent));
        let headers = ["schema", "kind", "kind"].into_iter().zip([Some("1"), None, Some("hosts")]);
        let headers =
            headers.fold(OwnedHeaders::new(), |all, (key, value)| all.insert(Header { key, value }));
        assert_eq!(RecordHeaders::from_headers(Some(&headers)), Err(StampError::Missing("kind")));
    }

    #[test]
    fn missing_and_invalid_headers_are_named() {
        let headers = OwnedHeaders::new().insert(Header { key: "schema", value: Some("1") });
        assert_eq!(RecordHeaders::from_headers(Some(&headers)), Err(StampError::Missing("kind")));
        let headers = headers.insert(Header { key: "kind", value: Some("rumours") });
        let error = RecordHeaders::from_headers(Some(&headers)).unwrap_err().to_string();
        assert_eq!(error, "the header `kind` is \"rumours\", which is not a record type");
    }
}
