//! Temporary files for newest versions. Each file has the rows whose digests begin alike, so it can be read on its own, and
//! has a small part of all rows. The files have no name, so nothing remains of a killed program.

use std::env;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};

use bytes::{Buf, BufMut};
use catalog_shared::record::Version;

use super::Newest;
use crate::decode::row_key::RowId;

/// The number of files. One is read into memory at a time: 1/64 of 50 million rows is less than 900,000.
const BUCKETS: u8 = 64;
/// The bytes of an entry: the row, run, page, partition and offset.
const ENTRY_BYTES: usize = RowId::LENGTH + 4 + 4 + 4 + 8;

/// Entries in temporary files.
pub(super) struct Spill(Vec<BufWriter<File>>);

/// A file with the entries of some rows, and their number.
pub(super) struct Bucket(BufReader<File>, u64);

impl Spill {
    pub(super) fn create() -> io::Result<Self> {
        (0..BUCKETS).map(|_| tempfile::tempfile().map(BufWriter::new)).collect::<io::Result<_>>().map(Self)
    }

    pub(super) fn write(&mut self, row: RowId, newest: Newest) -> io::Result<()> {
        let bucket = usize::from(row.to_bytes()[0] % BUCKETS);
        self.0[bucket].write_all(&encode(row, newest))
    }

    /// # Errors
    /// If what is buffered can't be written.
    pub(super) fn into_buckets(self) -> io::Result<Vec<Bucket>> {
        self.0.into_iter().map(Bucket::of).collect()
    }
}

impl Bucket {
    fn of(written: BufWriter<File>) -> io::Result<Self> {
        let mut file = written.into_inner()?;
        let bytes = file.stream_position()?;
        file.rewind()?;
        Ok(Self(BufReader::new(file), bytes / ENTRY_BYTES as u64))
    }

    /// Reads all entries in the order in which they were written.
    pub(super) fn read(mut self, mut receive: impl FnMut(RowId, Newest)) -> io::Result<()> {
        let mut entry = [0; ENTRY_BYTES];
        for _ in 0..self.1 {
            self.0.read_exact(&mut entry)?;
            let (row, newest) = decode(&entry);
            receive(row, newest);
        }
        Ok(())
    }
}

fn encode(row: RowId, Newest { version, partition, offset }: Newest) -> [u8; ENTRY_BYTES] {
    let mut entry = [0; ENTRY_BYTES];
    let mut rest = &mut entry[..];
    rest.put_slice(&row.to_bytes());
    rest.put_u32(version.run);
    rest.put_u32(version.page);
    rest.put_u32(partition);
    rest.put_i64(offset);
    entry
}

fn decode(mut entry: &[u8]) -> (RowId, Newest) {
    let mut row = [0; RowId::LENGTH];
    entry.copy_to_slice(&mut row);
    let version = Version { run: entry.get_u32(), page: entry.get_u32() };
    (RowId::from_bytes(row), Newest { version, partition: entry.get_u32(), offset: entry.get_i64() })
}

/// What an operator can do if the files can't be written.
pub(super) fn advice() -> String {
    let directory = env::temp_dir();
    format!(
        "can't write a temporary file in {}: set TMPDIR to a directory with free space (36 bytes per record of the topics)",
        directory.display()
    )
}
