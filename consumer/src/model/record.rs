//! A record as it came from Kafka, its headers read as far as that goes.

use std::panic::{AssertUnwindSafe, catch_unwind};

use catalog_shared::record::{Stamp, StampError};
use catalog_shared::region::Region;
use rdkafka::message::{BorrowedMessage, Headers, Message};
use serde_json::{Value, json};

/// A record as it came.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) offset: i64,
    /// What its headers say, or why they can't be read.
    pub(crate) stamp: Result<Stamp, String>,
    /// The region and run in whose books it is, which may be readable where all else is not.
    pub(crate) origin: Option<(Region, u32)>,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    /// All its headers, as [`to_json`] writes them.
    pub(crate) headers: String,
}

impl Record {
    /// Copies a record out of a message.
    ///
    /// # Errors
    /// The schema of a record that a newer build wrote.
    pub(crate) fn from_message(message: &BorrowedMessage<'_>) -> Result<Self, u32> {
        // The client panics at a header whose name is not UTF-8; one such record must not stop the rest.
        let read = || Self::read(message.offset(), message.headers());
        let received = catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| {
            let reason = "the name of a header is not UTF-8".to_owned();
            Ok(Self::unstamped(message.offset(), reason))
        })?;
        let (key, value) = (message.key().map(<[u8]>::to_vec), message.payload().map(<[u8]>::to_vec));
        Ok(Self { key, value, ..received })
    }

    /// A record with these headers, its key and value still to come.
    ///
    /// # Errors
    /// As [`Record::from_message`].
    pub(crate) fn read(offset: i64, headers: Option<&impl Headers>) -> Result<Self, u32> {
        let stamp = match Stamp::from_headers(headers) {
            Err(StampError::NewerSchema { found }) => return Err(found),
            stamp => stamp.map_err(|error| error.to_string()),
        };
        let text = headers.map_or_else(|| "[]".to_owned(), to_json);
        let origin = Stamp::origin(headers);
        Ok(Self { offset, stamp, origin, key: None, value: None, headers: text })
    }

    fn unstamped(offset: i64, reason: String) -> Self {
        let headers = "[]".to_owned();
        Self { offset, stamp: Err(reason), origin: None, key: None, value: None, headers }
    }

    /// How much memory it holds, about.
    pub(crate) fn bytes(&self) -> usize {
        let length = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or(0, Vec::len);
        size_of::<Self>() + length(&self.key) + length(&self.value) + self.headers.len()
    }
}

/// Headers as JSON: a list of name and value, for names may repeat. A value that `jsonb` can't hold as text is
/// an object with its bytes in hex.
pub(crate) fn to_json(headers: &impl Headers) -> String {
    let pair = |(name, value): (&str, Option<&[u8]>)| json!([name, value.map(value_to_json)]).to_string();
    let pairs: Vec<String> = headers.iter().map(|header| pair((header.key, header.value))).collect();
    format!("[{}]", pairs.join(","))
}

fn value_to_json(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => text.into(),
        _ => json!({ "hex": bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>() }),
    }
}
