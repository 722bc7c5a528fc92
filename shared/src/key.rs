//! Record keys. A record's key is the primary key of its row.

use crate::record::{Content, RecordHeaders, RecordType};
use crate::region::Region;

/// The key of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key<'a> {
    /// `us/data.cityofchicago.org/ijzp-q8t2`
    Dataset {
        /// The domain of the asset.
        domain: &'a str,
        /// The asset's 4x4 id.
        id: &'a str,
    },
    /// `us/data.cityofchicago.org`
    Domain(&'a str),
    /// `us/data.cityofchicago.org`
    Host(&'a str),
    /// `us/data.cityofchicago.org/Chicago Police`; the agency may contain slashes.
    Agency {
        /// The host of the agency's assets.
        host: &'a str,
        /// The agency's name.
        agency: &'a str,
    },
    /// `us/#run/7`
    EndRecord {
        /// The run that ended.
        run: u32,
    },
}

const MARKER_PREFIX: &str = "#run/";

impl<'a> Key<'a> {
    /// The key as text, prefixed with the region.
    #[must_use]
    pub fn to_text(self, region: Region) -> String {
        match self {
            Self::Dataset { domain, id } => format!("{region}/{domain}/{id}"),
            Self::Domain(name) | Self::Host(name) => format!("{region}/{name}"),
            Self::Agency { host, agency } => format!("{region}/{host}/{agency}"),
            Self::EndRecord { run } => format!("{region}/{MARKER_PREFIX}{run}"),
        }
    }

    /// Parses the key of a record with these headers; `None` if key and headers disagree.
    #[must_use]
    pub fn parse(text: &'a str, stamp: &RecordHeaders) -> Option<Self> {
        let rest = text.strip_prefix(stamp.region.name())?.strip_prefix('/')?;
        match stamp.content {
            Content::EndRecord => {
                let run = rest.strip_prefix(MARKER_PREFIX)?.parse().ok()?;
                (run == stamp.version.run).then_some(Self::EndRecord { run })
            }
            Content::Record(RecordType::Datasets) => {
                let (domain, id) = rest.split_once('/')?;
                (is_name(domain) && is_name(id)).then_some(Self::Dataset { domain, id })
            }
            Content::Record(RecordType::Domains) => is_name(rest).then_some(Self::Domain(rest)),
            Content::Record(RecordType::Hosts) => is_name(rest).then_some(Self::Host(rest)),
            Content::Record(RecordType::Agencies) => {
                let (host, agency) = rest.split_once('/')?;
                (is_name(host) && !agency.trim().is_empty()).then_some(Self::Agency { host, agency })
            }
        }
    }
}

/// Whether a text can be a part of a key (a host name or an id): not empty, without the separators `/` and `#`, without
/// white space and control characters, and at most as long as a host name (253 bytes, RFC 1035).
#[must_use]
pub fn is_name(text: &str) -> bool {
    (1..=253).contains(&text.len())
        && !text.contains(|c: char| matches!(c, '/' | '#') || c.is_whitespace() || c.is_control())
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;

    use super::*;
    use crate::record::Version;

    fn stamp(content: Content) -> RecordHeaders {
        let version = Version { run: 7, page: 12 };
        RecordHeaders { content, region: Region::Eu, version, observed_at: OffsetDateTime::UNIX_EPOCH }
    }

    #[test]
    fn keys_are_parsed_as_they_were_written() {
        let keys = [
            (Key::Dataset { domain: "data.example", id: "ijzp-q8t2" }, Content::Record(RecordType::Datasets)),
            (Key::Domain("data.example"), Content::Record(RecordType::Domains)),
            (Key::Host("data.example"), Content::Record(RecordType::Hosts)),
            (
                Key::Agency { host: "data.example", agency: "Roads / Parks" },
                Content::Record(RecordType::Agencies),
            ),
            (Key::EndRecord { run: 7 }, Content::EndRecord),
        ];
        for (key, content) in keys {
            assert_eq!(Key::parse(&key.to_text(Region::Eu), &stamp(content)), Some(key));
        }
    }

    #[test]
    fn a_key_of_another_region_run_or_type_is_refused() {
        let dataset = stamp(Content::Record(RecordType::Datasets));
        assert_eq!(Key::parse("us/data.example/ijzp-q8t2", &dataset), None);
        assert_eq!(Key::parse("eu/#run/7", &dataset), None);
        assert_eq!(Key::parse("eu/#run/8", &stamp(Content::EndRecord)), None);
        assert_eq!(Key::parse("eu/data.example/", &dataset), None);
    }
}
