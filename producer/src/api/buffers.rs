//! Buffers for answers, used again and again. Pages are of megabytes and held by many records; allocated
//! and freed in turn, between small things and by several threads, they would leave holes that grow with
//! the length of a crawl.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};

/// How many buffers are kept. A crawl has one a lane in hand, and a few more are on their way to Kafka.
const KEPT: usize = 16;
/// The largest buffer that is kept, in bytes: several times a page of 1,000 assets. One enormous answer
/// is not to be paid for until the end.
const LARGEST: usize = 16 * 1024 * 1024;

/// Buffers that nobody uses at the moment.
#[derive(Clone, Default)]
pub(crate) struct Buffers(Arc<Mutex<Vec<BytesMut>>>);

impl Buffers {
    /// An empty buffer: the one that was used last, for it is the likeliest to be in a cache.
    pub(crate) fn take(&self) -> BytesMut {
        self.spare().pop().unwrap_or_default()
    }

    /// Lends a filled buffer out. It comes back when the last slice of it is dropped.
    pub(crate) fn lend(&self, buffer: BytesMut) -> Bytes {
        Bytes::from_owner(Lent { buffer, home: self.clone() })
    }

    fn give_back(&self, mut buffer: BytesMut) {
        buffer.clear();
        let mut spare = self.spare();
        if spare.len() < KEPT && buffer.capacity() <= LARGEST {
            spare.push(buffer);
        }
    }

    fn spare(&self) -> MutexGuard<'_, Vec<BytesMut>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Lent {
    buffer: BytesMut,
    home: Buffers,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.home.give_back(std::mem::take(&mut self.buffer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_empty_with_the_last_slice_of_it() {
        let buffers = Buffers::default();
        let mut buffer = buffers.take();
        buffer.extend_from_slice(b"0123456789");
        let place = buffer.as_ptr();
        let whole = buffers.lend(buffer);
        let slice = whole.slice(3..5);
        drop(whole);
        assert!(buffers.spare().is_empty());
        assert_eq!(slice, "34");
        drop(slice);
        let again = buffers.take();
        assert_eq!((again.as_ptr(), again.len()), (place, 0));
    }

    #[test]
    fn what_is_too_much_is_not_kept() {
        let buffers = Buffers::default();
        drop(buffers.lend(BytesMut::with_capacity(LARGEST + 1)));
        assert!(buffers.spare().is_empty());
        let many: Vec<_> = (0..=KEPT).map(|_| buffers.lend(BytesMut::new())).collect();
        drop(many);
        assert_eq!(buffers.spare().len(), KEPT);
    }
}
