//! The memory that received records are copied into: a few large blocks instead of several allocations per record.

use bytes::{Bytes, BytesMut};

/// The bytes of a block.
const BLOCK_BYTES: usize = 256 * 1024;

/// Copies bytes into blocks. A block is freed once the last of its copies is dropped, so copies that live for a similar
/// time should share an arena.
#[derive(Debug, Default)]
pub(crate) struct Arena {
    block: BytesMut,
    block_bytes: usize,
    scratch: Vec<u8>,
}

impl Arena {
    /// An arena for many records.
    pub(crate) fn new() -> Self {
        Self { block_bytes: BLOCK_BYTES, ..Self::default() }
    }

    /// An arena for a few records: each copy is a separate allocation and keeps no other memory alive.
    pub(crate) fn exact() -> Self {
        Self::default()
    }

    /// Copies bytes.
    pub(crate) fn copy(&mut self, bytes: &[u8]) -> Bytes {
        if bytes.is_empty() {
            return Bytes::new();
        }
        // `reserve` would also make room, but it copies and chooses the size itself.
        if self.block.capacity() < bytes.len() {
            self.block = BytesMut::with_capacity(bytes.len().max(self.block_bytes));
        }
        self.block.extend_from_slice(bytes);
        self.block.split().freeze()
    }

    /// Copies what `write` appends.
    pub(crate) fn copy_written(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Bytes {
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        write(&mut scratch);
        let copy = self.copy(&scratch);
        self.scratch = scratch;
        copy
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_share_a_block_and_stay_as_they_are_when_the_next_block_begins() {
        let mut arena = Arena::new();
        let piece = |number: u8| vec![number; 100_000];
        let copies: Vec<Bytes> = (0..5).map(|number| arena.copy(&piece(number))).collect();
        for (number, copy) in (0..).zip(&copies) {
            assert_eq!(copy[..], piece(number)[..]);
        }
        let follows =
            |pair: [usize; 2]| copies[pair[0]].as_ptr().wrapping_add(100_000) == copies[pair[1]].as_ptr();
        assert!(follows([0, 1]) && follows([2, 3]));
    }

    #[test]
    fn a_copy_may_be_larger_than_a_block_or_empty() {
        let mut arena = Arena::new();
        assert_eq!(arena.copy(&vec![7; BLOCK_BYTES + 1]).len(), BLOCK_BYTES + 1);
        assert!(arena.copy(&[]).is_empty());
        assert_eq!(arena.copy_written(|bytes| bytes.extend(b"abc"))[..], *b"abc");
    }
}
