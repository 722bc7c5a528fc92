//! Rows: the decoded records, each with its version.

use catalog_shared::record::Version;
use catalog_shared::region::Region;
use time::OffsetDateTime;

use crate::decode::dataset::{DatasetError, DatasetRow};
use crate::decode::scan::Scanned;
use crate::model::effect::{Applied, Effect};

/// A row with the values of its record's headers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Versioned<T> {
    pub(crate) region: Region,
    pub(crate) version: Version,
    pub(crate) observed_at: OffsetDateTime,
    pub(crate) offset: i64,
    pub(crate) row: T,
}

/// The rows of a batch. All records of a topic have the same type.
#[derive(Debug)]
pub(crate) enum Rows<'a> {
    Datasets(Vec<Versioned<Dataset<'a>>>),
    Domains(Vec<Versioned<Domain>>),
    Hosts(Vec<Versioned<Host>>),
    Agencies(Vec<Versioned<Agency>>),
    /// The topic has no rows.
    None,
}

/// A scanned asset. Its row is decoded only if it must be written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dataset<'a> {
    pub(crate) domain: &'a str,
    pub(crate) id: &'a str,
    pub(crate) scanned: Scanned,
    /// Whether one pass was enough to scan it, so that nothing in it must be sanitized.
    in_one_pass: bool,
    /// The API's object.
    value: &'a str,
}

impl<'a> Dataset<'a> {
    /// Scans the asset with this key.
    ///
    /// # Errors
    /// Same as [`DatasetRow::read`].
    pub(crate) fn scan(value: &'a str, domain: &'a str, id: &'a str) -> Result<Self, DatasetError> {
        let scanned = Scanned::in_one_pass(value, domain, id);
        let in_one_pass = scanned.is_some();
        let scanned = scanned.map_or_else(|| Scanned::by_decoding(value, domain, id), Ok)?;
        Ok(Self { domain, id, scanned, in_one_pass, value })
    }

    /// Decodes the row.
    ///
    /// # Errors
    /// Never, because the asset was scanned successfully.
    pub(crate) fn decode(&self) -> Result<DatasetRow, DatasetError> {
        if self.in_one_pass {
            self.scanned.decode(self.value)
        } else {
            DatasetRow::read(self.value, self.domain, self.id)
        }
    }
}

/// A domain and the count that the API declares for it.
#[derive(Debug)]
pub(crate) struct Domain {
    pub(crate) domain: String,
    pub(crate) declared_count: i64,
}

/// A host and its domain.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) host: String,
    pub(crate) domain: String,
}

/// An agency on a host.
#[derive(Debug)]
pub(crate) struct Agency {
    pub(crate) host: String,
    pub(crate) agency: String,
}

/// The primary key of a row, without the region.
pub(crate) trait Keyed {
    /// Both parts. The second one is empty if the key has only one.
    fn key(&self) -> (&str, &str);
}

impl Keyed for Dataset<'_> {
    fn key(&self) -> (&str, &str) {
        (self.domain, self.id)
    }
}

impl Keyed for Domain {
    fn key(&self) -> (&str, &str) {
        (&self.domain, "")
    }
}

impl Keyed for Host {
    fn key(&self) -> (&str, &str) {
        (&self.host, "")
    }
}

impl Keyed for Agency {
    fn key(&self) -> (&str, &str) {
        (&self.host, &self.agency)
    }
}

impl<T> Versioned<T> {
    pub(crate) const fn applied(&self, effect: Effect) -> Applied {
        Applied { region: self.region, run: self.version.run, offset: self.offset, effect }
    }
}

/// The last version of each key, sorted by key, because all transactions lock rows in that order. Rows that are
/// superseded within the batch are added to `superseded`.
pub(crate) fn latest<T: Keyed>(
    mut rows: Vec<Versioned<T>>,
    superseded: &mut Vec<Applied>,
) -> Vec<Versioned<T>> {
    let rank = |row: &Versioned<T>| (row.version, row.offset);
    rows.sort_by(|a, b| (a.region, a.row.key(), rank(a)).cmp(&(b.region, b.row.key(), rank(b))));
    let mut last: Vec<Versioned<T>> = Vec::with_capacity(rows.len());
    for row in rows {
        if last.last().is_some_and(|before| (before.region, before.row.key()) == (row.region, row.row.key()))
        {
            superseded.extend(last.pop().map(|before| before.applied(Effect::Older)));
        }
        last.push(row);
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(host: &str, run: u32, page: u32, offset: i64) -> Versioned<Host> {
        Versioned {
            region: Region::Us,
            version: Version { run, page },
            observed_at: OffsetDateTime::UNIX_EPOCH,
            offset,
            row: Host { host: host.into(), domain: String::new() },
        }
    }

    #[test]
    fn the_last_version_of_each_key_stays_in_any_order() {
        let mut superseded = Vec::new();
        let rows = vec![host("b", 1, 1, 10), host("a", 2, 1, 11), host("a", 1, 9, 12), host("a", 2, 1, 13)];
        let last = latest(rows, &mut superseded);
        assert_eq!(
            last.iter().map(|row| (row.row.host.as_str(), row.offset)).collect::<Vec<_>>(),
            [("a", 13), ("b", 10)]
        );
        assert_eq!(superseded.iter().map(|record| record.offset).collect::<Vec<_>>(), [12, 11]);
    }
}
