//! A record as it was received from Kafka, with its parsed headers.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use catalog_shared::record::{Content, RecordHeaders, StampError};
use catalog_shared::region::Region;
use rdkafka::message::{BorrowedMessage, Headers, Message};
use time::OffsetDateTime;

use crate::model::arena::Arena;
use crate::model::headers::RawHeaders;

/// A record as it was received. Its bytes are slices of larger blocks, so a clone is cheap.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) offset: i64,
    /// The parsed headers, or why they can't be read.
    pub(crate) stamp: Result<RecordHeaders, String>,
    /// The region and run whose ledger counts it. It may be readable even if other headers are not.
    pub(crate) origin: Option<(Region, u32)>,
    pub(crate) key: Option<Bytes>,
    pub(crate) value: Option<Bytes>,
    pub(crate) headers: RawHeaders,
    /// Whether a replay has found a newer record of the same row. Then the record is counted but not applied, and the
    /// fields other than the offset are empty.
    pub(crate) superseded: bool,
}

impl Record {
    /// Copies a single record out of a message.
    ///
    /// # Errors
    /// The schema of a record that a newer build wrote.
    pub(crate) fn from_message(message: &BorrowedMessage<'_>) -> Result<Self, u32> {
        Self::copy(message, &mut Arena::exact())
    }

    /// The headers of a message, parsed without copying anything; `None` if they can't be read.
    pub(crate) fn stamp(message: &BorrowedMessage<'_>) -> Option<RecordHeaders> {
        // Same as in `copy`. All headers are visited, because a bad name after the known headers makes the record unreadable too.
        let read = || {
            let headers = message.headers()?;
            headers.iter().for_each(drop);
            RecordHeaders::from_headers(Some(headers)).ok()
        };
        catch_unwind(AssertUnwindSafe(read)).unwrap_or_default()
    }

    /// Copies one of many records out of a message.
    ///
    /// # Errors
    /// The schema of a record that a newer build wrote.
    pub(crate) fn copy(message: &BorrowedMessage<'_>, arena: &mut Arena) -> Result<Self, u32> {
        // The client panics at a header whose name is not UTF-8. One such record must not stop the others.
        let read = || Self::read_into(message.offset(), message.headers(), arena);
        let received = catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| {
            let reason = "the name of a header is not UTF-8".to_owned();
            Ok(Self::unstamped(message.offset(), reason))
        })?;
        let (key, value) = (message.key(), message.payload());
        let (key, value) = (key.map(|key| arena.copy(key)), value.map(|value| arena.copy(value)));
        Ok(Self { key, value, ..received })
    }

    /// A record with these headers and without key and value.
    ///
    /// # Errors
    /// Same as [`Record::from_message`].
    pub(crate) fn read(offset: i64, headers: Option<&impl Headers>) -> Result<Self, u32> {
        Self::read_into(offset, headers, &mut Arena::exact())
    }

    fn read_into(offset: i64, headers: Option<&impl Headers>, arena: &mut Arena) -> Result<Self, u32> {
        let stamp = match RecordHeaders::from_headers(headers) {
            Err(StampError::NewerSchema { found }) => return Err(found),
            stamp => stamp.map_err(|error| error.to_string()),
        };
        let origin = match &stamp {
            Ok(stamp) if stamp.content == Content::EndRecord => None,
            Ok(stamp) => Some((stamp.region, stamp.version.run)),
            Err(_) => RecordHeaders::origin(headers),
        };
        let headers = headers.map(|headers| RawHeaders::copy(headers, arena)).unwrap_or_default();
        Ok(Self { offset, stamp, origin, key: None, value: None, headers, superseded: false })
    }

    fn unstamped(offset: i64, reason: String) -> Self {
        let (headers, superseded) = (RawHeaders::default(), false);
        Self { offset, stamp: Err(reason), origin: None, key: None, value: None, headers, superseded }
    }

    /// A record that is superseded by a newer one.
    pub(crate) fn superseded(offset: i64) -> Self {
        Self { superseded: true, ..Self::unstamped(offset, String::new()) }
    }

    /// Whether it is an end-of-run record.
    pub(crate) fn ends_run(&self) -> bool {
        self.stamp.as_ref().is_ok_and(|stamp| stamp.content == Content::EndRecord)
    }

    /// Whether both may be in one batch. A batch with end-of-run records has no others: its transaction runs alone and waits
    /// for the disk, and rows should not wait for the ends of other partitions.
    pub(crate) fn may_share_batch(&self, other: &Self) -> bool {
        self.ends_run() == other.ends_run()
    }

    /// When the producer observed it, if its headers say so.
    pub(crate) fn observed_at(&self) -> Option<OffsetDateTime> {
        self.stamp.as_ref().ok().map(|stamp| stamp.observed_at)
    }

    /// How many bytes of memory it takes, approximately.
    pub(crate) fn bytes(&self) -> usize {
        let length = |bytes: &Option<Bytes>| bytes.as_ref().map_or(0, Bytes::len);
        size_of::<Self>() + length(&self.key) + length(&self.value) + self.headers.len()
    }
}
