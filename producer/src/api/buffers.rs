//! A pool of buffers for answers. Pages are megabytes large and shared by many records. Allocating and freeing them
//! between small allocations on several threads fragments the heap more and more during a crawl.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};

/// The maximum number of pooled buffers. A crawl uses one per lane, and a few more are being sent to Kafka.
const MAX_BUFFERS: usize = 16;
/// The largest pooled buffer in bytes: several times a page of 1,000 assets. The memory of a larger answer is freed.
const MAX_CAPACITY: usize = 16 * 1024 * 1024;

/// The unused buffers.
#[derive(Clone, Default)]
pub(crate) struct Buffers(Arc<Mutex<Vec<BytesMut>>>);

impl Buffers {
    /// An empty buffer: the one that was used last, because it is the most likely to be in a CPU cache.
    pub(crate) fn take(&self) -> BytesMut {
        self.spare().pop().unwrap_or_default()
    }

    /// Shares a filled buffer. It returns to the pool when its last slice is dropped.
    pub(crate) fn share(&self, buffer: BytesMut) -> Bytes {
        Bytes::from_owner(Shared { buffer, pool: self.clone() })
    }

    fn put_back(&self, mut buffer: BytesMut) {
        buffer.clear();
        let mut spare = self.spare();
        if spare.len() < MAX_BUFFERS && buffer.capacity() <= MAX_CAPACITY {
            spare.push(buffer);
        }
    }

    fn spare(&self) -> MutexGuard<'_, Vec<BytesMut>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Shared {
    buffer: BytesMut,
    pool: Buffers,
}

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.pool.put_back(std::mem::take(&mut self.buffer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_returns_empty_after_its_last_slice() {
        let buffers = Buffers::default();
        let mut buffer = buffers.take();
        buffer.extend_from_slice(b"0123456789");
        let address = buffer.as_ptr();
        let whole = buffers.share(buffer);
        let slice = whole.slice(3..5);
        drop(whole);
        assert!(buffers.spare().is_empty());
        assert_eq!(slice, "34");
        drop(slice);
        let again = buffers.take();
        assert_eq!((again.as_ptr(), again.len()), (address, 0));
    }

    #[test]
    fn excess_and_oversized_buffers_are_not_pooled() {
        let buffers = Buffers::default();
        drop(buffers.share(BytesMut::with_capacity(MAX_CAPACITY + 1)));
        assert!(buffers.spare().is_empty());
        let many: Vec<_> = (0..=MAX_BUFFERS).map(|_| buffers.share(BytesMut::new())).collect();
        drop(many);
        assert_eq!(buffers.spare().len(), MAX_BUFFERS);
    }
}
