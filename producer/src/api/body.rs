//! Reads the body of an answer in chunks, within limits of memory and time.

use std::io;
use std::time::Duration;

use bytes::BytesMut;
use reqwest::Response;
use tokio::time::{Instant, timeout_at};

use crate::api::error::{ApiError, Incomplete};
use crate::api::gzip::Decoder;

/// The minimum number of bytes in each window, counted after decompression: 4.3 KiB per second. At that rate a page of
/// 1,000 assets (4.6 MB) takes 18 minutes, so a connection that is just slow is faster than this.
pub(crate) const MIN_BYTES: u64 = 256 * 1024;
/// The shortest window. A longer `--timeout` extends it, because no data may arrive for that long.
const WINDOW: Duration = Duration::from_secs(60);
/// The limits of a body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BodyLimits {
    /// The maximum size in bytes after decompression.
    pub(crate) bytes: u64,
    /// The maximum time without data.
    pub(crate) idle: Duration,
}

/// Reads a body within its limits. Calls `received` with the size of each chunk after decompression.
///
/// # Errors
/// [`ApiError::Incomplete`], with the received part, if the body is too large, is cut off, stalls, or is slower than
/// [`MIN_BYTES`].
pub(crate) async fn read(
    mut response: Response,
    body: &mut BytesMut,
    limits: BodyLimits,
    received: impl Fn(usize),
) -> Result<(), ApiError> {
    // A growing buffer of megabytes would be copied each time that it doubles.
    let announced = response.content_length().unwrap_or_default().min(limits.bytes);
    body.reserve(usize::try_from(announced).unwrap_or_default());
    let mut decoder = Decoder::of(response.headers());
    let mut pace = Pace::new(limits.idle);
    let mut take = |chunk: &[u8]| {
        received(chunk.len());
        append(body, chunk, limits.bytes)
    };
    let ended = loop {
        match pace.await_chunk(response.chunk()).await {
            Ok(Ok(Some(chunk))) => {
                let decoded = decoder.decode(&chunk, |decoded| {
                    pace.received(decoded.len());
                    take(decoded)
                });
                if let Err(unread) = decoded {
                    break Err(unread);
                }
            }
            Ok(Ok(None)) => break decoder.finish(&mut take),
            Ok(Err(error)) => break Err(Unread::Failed(error)),
            Err(slow) => break Err(Unread::Incomplete(slow)),
        }
    };
    ended.map_err(|unread| unread.with(body))
}

/// Appends a chunk up to the limit.
fn append(body: &mut BytesMut, chunk: &[u8], limit: u64) -> Result<(), Unread> {
    let room = usize::try_from(limit).unwrap_or(usize::MAX) - body.len();
    body.extend_from_slice(&chunk[..chunk.len().min(room)]);
    if chunk.len() > room { Err(Unread::Incomplete(Incomplete::TooLarge(limit))) } else { Ok(()) }
}

/// Why a body was not read to its end.
enum Unread {
    Incomplete(Incomplete),
    Failed(reqwest::Error),
}

impl From<io::Error> for Unread {
    /// An error of the decoder: the body was cut off or damaged.
    fn from(_: io::Error) -> Self {
        Self::Incomplete(Incomplete::CutOff)
    }
}

impl Unread {
    fn with(self, body: &[u8]) -> ApiError {
        match self {
            Self::Incomplete(reason) => ApiError::incomplete(reason, body, None),
            Self::Failed(error) => {
                let reason = if error.is_timeout() { Incomplete::Late } else { Incomplete::CutOff };
                ApiError::incomplete(reason, body, Some(error))
            }
        }
    }
}

/// The speed of a body.
struct Pace {
    window: Duration,
    end: Instant,
    /// The bytes of this window.
    received: u64,
}

impl Pace {
    fn new(idle: Duration) -> Self {
        let window = idle.max(WINDOW);
        Self { window, end: Instant::now() + window, received: 0 }
    }

    fn received(&mut self, bytes: usize) {
        self.received += bytes as u64;
    }

    /// Waits for the next chunk, across windows with enough bytes.
    ///
    /// # Errors
    /// [`Incomplete::Slow`] at the end of a window with too few bytes.
    async fn await_chunk<T>(&mut self, chunk: impl Future<Output = T>) -> Result<T, Incomplete> {
        let mut chunk = std::pin::pin!(chunk);
        loop {
            if let Ok(chunk) = timeout_at(self.end, &mut chunk).await {
                return Ok(chunk);
            }
            if self.received < MIN_BYTES {
                return Err(Incomplete::Slow { min_bytes: MIN_BYTES, window: self.window });
            }
            (self.end, self.received) = (Instant::now() + self.window, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Receives a chunk of this size every `pause`, for an hour. Returns when that was too slow.
    async fn too_slow_after(idle: Duration, bytes: u64, pause: Duration) -> Option<Duration> {
        let (start, mut pace) = (Instant::now(), Pace::new(idle));
        while start.elapsed() < SECOND * 3_600 {
            if pace.await_chunk(sleep(pause)).await.is_err() {
                return Some(start.elapsed().saturating_sub(Duration::from_millis(1)));
            }
            pace.received(usize::try_from(bytes).unwrap());
        }
        None
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_trickles_fails_at_the_end_of_its_window() {
        let after = too_slow_after(SECOND * 30, 1, SECOND).await.unwrap();
        assert!((SECOND * 59..=SECOND * 60).contains(&after), "{after:?}");
        // A window is never shorter than the idle timeout.
        let after = too_slow_after(SECOND * 300, 1, SECOND).await.unwrap();
        assert!((SECOND * 299..=SECOND * 300).contains(&after), "{after:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_body_with_enough_bytes_is_read_without_a_time_limit() {
        assert_eq!(too_slow_after(SECOND * 30, MIN_BYTES, SECOND * 29).await, None);
        assert_eq!(too_slow_after(SECOND * 30, MIN_BYTES / 50, SECOND).await, None);
    }
}
