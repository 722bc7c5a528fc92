//! The record format: kinds, versions and headers.
//!
//! A record's key is the primary key of the row it becomes, joined by `/` and led by the region. Its
//! headers say what it is and when it was seen; its value is JSON (for datasets the API's result object
//! byte for byte).

use std::fmt;
use std::str::FromStr;

use rdkafka::message::{Header, Headers, OwnedHeaders};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

use crate::region::Region;

/// The format that this build writes, and the newest that it reads.
pub const SCHEMA: u32 = 1;

/// What a record describes; each kind has a topic and a table of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A dataset, chart, map, file …: one result object of the API.
    Datasets,
    /// A domain as `/domains` declares it.
    Domains,
    /// A hostname that assets were seen on.
    Hosts,
    /// An agency: the attribution of assets on a host.
    Agencies,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Datasets, Self::Domains, Self::Hosts, Self::Agencies];

    /// The word for it in topic names, headers and tables.
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

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What orders all that was ever published for a key: the run, then the page within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// The run's number, from 1.
    pub run: u32,
    /// The page's number within the run, in order of publishing; 0 is the answer of `/domains`.
    pub page: u32,
}

/// What a record's `kind` header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// A catalog record.
    Record(Kind),
    /// A marker that ends a run on one partition.
    Marker,
}

impl Content {
    const MARKER: &'static str = "marker";

    const fn name(self) -> &'static str {
        match self {
            Self::Record(kind) => kind.name(),
            Self::Marker => Self::MARKER,
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        if name == Self::MARKER {
            return Some(Self::Marker);
        }
        Kind::ALL.into_iter().find(|kind| kind.name() == name).map(Self::Record)
    }
}

/// The headers of a record on a data topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// What the record is.
    pub content: Content,
    /// The region it was crawled from.
    pub region: Region,
    /// Which run and page published it.
    pub version: Version,
    /// When the answer that held it arrived.
    pub observed_at: OffsetDateTime,
}

/// Why a record's headers can't be read.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum StampError {
    /// A header that every record carries is not there.
    #[error("the header `{0}` is missing")]
    Missing(&'static str),
    /// A header holds something else than its rule allows.
    #[error("the header `{name}` holds {value:?}, which is not {rule}")]
    Invalid {
        /// The header's name.
        name: &'static str,
        /// What it holds.
        value: String,
        /// What it should hold.
        rule: &'static str,
    },
    /// The record was written by a newer build: its other headers may mean something else.
    #[error("the record has schema {found}, and this build reads up to {SCHEMA}: upgrade the consumer")]
    NewerSchema {
        /// The schema that the record names.
        found: u32,
    },
}

const KIND: &str = "kind";
const SCHEMA_HEADER: &str = "schema";
const REGION: &str = "region";
const RUN: &str = "run";
const PAGE: &str = "page";
const OBSERVED_AT: &str = "observed_at";

impl Stamp {
    /// The headers as they go on the wire, all of it text.
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
    /// [`StampError::NewerSchema`] before anything else is looked at, then whatever is missing or is not
    /// what its rule says.
    pub fn from_headers(headers: Option<&impl Headers>) -> Result<Self, StampError> {
        let headers = headers.ok_or(StampError::Missing(SCHEMA_HEADER))?;
        let schema: u32 = number(headers, SCHEMA_HEADER)?;
        if schema > SCHEMA {
            return Err(StampError::NewerSchema { found: schema });
        }
        Ok(Self {
            content: word(headers, KIND, "a kind of record", Content::from_name)?,
            region: word(headers, REGION, "a region", Region::from_name)?,
            version: Version { run: number(headers, RUN)?, page: number(headers, PAGE)? },
            observed_at: word(headers, OBSERVED_AT, "an RFC 3339 time", time)?,
        })
    }

    /// The region and the run that headers name, where all else may be unreadable. None for a marker, which
    /// is not one of a run's records.
    #[must_use]
    pub fn origin(headers: Option<&impl Headers>) -> Option<(Region, u32)> {
        let headers = headers?;
        let is_marker = word(headers, KIND, "a kind", Content::from_name) == Ok(Content::Marker);
        let region = word(headers, REGION, "a region", Region::from_name).ok()?;
        let run = number(headers, RUN).ok()?;
        (!is_marker).then_some((region, run))
    }
}

/// A time, in UTC: some that can be written leave the calendar there.
fn time(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text, &Rfc3339).ok()?.checked_to_offset(UtcOffset::UTC)
}

fn number<T: FromStr>(headers: &impl Headers, name: &'static str) -> Result<T, StampError> {
    word(headers, name, "a whole number", |text| text.parse().ok())
}

fn word<T>(
    headers: &impl Headers,
    name: &'static str,
    rule: &'static str,
    read: impl Fn(&str) -> Option<T>,
) -> Result<T, StampError> {
    let bytes = headers.iter().find(|header| header.key == name).and_then(|header| header.value);
    let bytes = bytes.ok_or(StampError::Missing(name))?;
    std::str::from_utf8(bytes).ok().and_then(&read).ok_or_else(|| StampError::Invalid {
        name,
        value: String::from_utf8_lossy(bytes).into_owned(),
        rule,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(content: Content) -> Stamp {
        Stamp {
            content,
            region: Region::Eu,
            version: Version { run: 7, page: 12 },
            observed_at: OffsetDateTime::from_unix_timestamp(1_700_000_000).unwrap(),
        }
    }

    #[test]
    fn headers_come_back_as_they_went() {
        for content in Kind::ALL.map(Content::Record).into_iter().chain([Content::Marker]) {
            let sent = stamp(content);
            assert_eq!(Stamp::from_headers(Some(&sent.to_headers())), Ok(sent));
        }
    }

    #[test]
    fn a_newer_schema_is_told_apart_even_when_all_else_is_strange() {
        let headers = OwnedHeaders::new().insert(Header { key: "schema", value: Some("2") });
        assert_eq!(Stamp::from_headers(Some(&headers)), Err(StampError::NewerSchema { found: 2 }));
    }

    #[test]
    fn a_time_that_utc_does_not_have_is_refused_and_the_origin_still_read() {
        let mut headers = OwnedHeaders::new();
        for (key, value) in
            [("kind", "hosts"), ("schema", "1"), ("region", "eu"), ("run", "7"), ("page", "1")]
        {
            headers = headers.insert(Header { key, value: Some(value) });
        }
        let late = Some("9999-12-31T23:59:59-01:00");
        let headers = headers.insert(Header { key: "observed_at", value: late });
        assert!(matches!(Stamp::from_headers(Some(&headers)), Err(StampError::Invalid { .. })));
        assert_eq!(Stamp::origin(Some(&headers)), Some((Region::Eu, 7)));
        assert_eq!(Stamp::origin(Some(&stamp(Content::Marker).to_headers())), None);
    }

    #[test]
    fn a_missing_and_a_wrong_header_are_named() {
        let headers = OwnedHeaders::new().insert(Header { key: "schema", value: Some("1") });
        assert_eq!(Stamp::from_headers(Some(&headers)), Err(StampError::Missing("kind")));
        let headers = headers.insert(Header { key: "kind", value: Some("rumours") });
        let error = Stamp::from_headers(Some(&headers)).unwrap_err().to_string();
        assert_eq!(error, "the header `kind` holds \"rumours\", which is not a kind of record");
    }
}
