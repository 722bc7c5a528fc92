//! The binary format of COPY. Values are encoded as in the parameters of a statement.

use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::PgArgumentBuffer;
use sqlx::{Encode, Postgres};

use crate::decode::literal::TextArray;
use crate::store::tables::{DATASETS, Read, WideRow};

/// The signature, the flags and the length of the header's extension.
const HEADER: &[u8; 19] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// The number of fields that ends the data.
const END: i16 = -1;
/// The length of a null.
const NULL: i32 = -1;

/// Encodes rows of the wide table.
pub(super) struct Encoder(PgArgumentBuffer);

impl Encoder {
    pub(super) fn new() -> Self {
        let mut buffer = PgArgumentBuffer::default();
        buffer.extend_from_slice(HEADER);
        Self(buffer)
    }

    /// Appends a row.
    ///
    /// # Errors
    /// If a value is too large for the protocol.
    pub(super) fn row(&mut self, row: &WideRow<'_>) -> Result<(), BoxDynError> {
        self.0.extend_from_slice(&i16::try_from(DATASETS.columns.len())?.to_be_bytes());
        for read in DATASETS.columns.iter().filter_map(|column| column.read) {
            match read {
                Read::Text(read) => self.field(read(row)),
                Read::Json(read) => self.field(read(row).map(Jsonb)),
                Read::List(read) => self.field(read(row).map(TextArray::elements)),
                Read::Time(read) => self.field(read(row)),
                Read::Bytes(read) => self.field(Some(read(row))),
            }?;
        }
        Ok(())
    }

    /// Appends the end of the data.
    pub(super) fn end(&mut self) {
        self.0.extend_from_slice(&END.to_be_bytes());
    }

    /// The encoded bytes since the start or since they were cleared.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Clears the bytes, because they were sent.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Appends the length of a value, and the value.
    fn field<'q>(&mut self, value: Option<impl Encode<'q, Postgres>>) -> Result<(), BoxDynError> {
        let start = self.0.len();
        self.0.extend_from_slice(&NULL.to_be_bytes());
        let first = self.0.len();
        if let Some(value) = value
            && let IsNull::No = value.encode_by_ref(&mut self.0)?
        {
            let length = i32::try_from(self.0.len() - first)?;
            self.0[start..first].copy_from_slice(&length.to_be_bytes());
        }
        Ok(())
    }
}

/// JSON text as a value of a `jsonb`: the version of the format, and the text.
struct Jsonb<'a>(&'a str);

impl Encode<'_, Postgres> for Jsonb<'_> {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        buffer.push(1);
        buffer.extend_from_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }
}
