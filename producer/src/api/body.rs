//! An answer's body: read piece by piece, so that none takes more memory or time than it may.

use std::io;
use std::time::Duration;

use bytes::BytesMut;
use reqwest::Response;
use tokio::time::{Instant, timeout_at};

use crate::api::error::{ApiError, Incomplete};
use crate::api::gzip::Decoder;

/// How many bytes of a body must arrive in each window, counted after decompression: 4.3 KiB a second. At that rate
/// a page of 1,000 assets (4.6 MB) takes 18 minutes, so a connection that is merely slow does better than this.
pub(crate) const FLOOR: u64 = 256 * 1024;
/// The shortest window. It is longer where `--timeout` is, because an answer may stand still for that long.
const WINDOW: Duration = Duration::from_secs(60);
/// U+FEFF in UTF-8, which some servers put before a text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// What a body may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Bytes, as they are after decompression.
    pub(crate) bytes: u64,
    /// How long nothing may come.
    pub(crate) idle: Duration,
}

/// Reads a body within its limits. `received` is told of each piece, as it is after decompression.
///
/// # Errors
/// [`ApiError::Incomplete`], with what came, when it is longer, is cut off, comes to a standstill, or arrives more
/// slowly than [`FLOOR`].
pub(crate) async fn read(
    mut response: Response,
    body: &mut BytesMut,
    limits: Limits,
    received: impl Fn(usize),
) -> Result<(), ApiError> {
    // Pages are of megabytes, and one that grows is copied each time that it has doubled.
    let announced = response.content_length().unwrap_or_default().min(limits.bytes);
    body.reserve(usize::try_from(announced).unwrap_or_default());
    let mut decoder = Decoder::of(response.headers());
    let mut pace = Pace::new(limits.idle);
    let mut take = |piece: &[u8]| {
        received(piece.len());
        append(body, piece, limits.bytes)
    };
    let ended = loop {
        match pace.await_piece(response.chunk()).await {
            Ok(Ok(Some(piece))) => {
                let decoded = decoder.decode(&piece, |piece| {
                    pace.received(piece.len());
                    take(piece)
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

/// Appends a piece as far as there is room for it.
fn append(body: &mut BytesMut, piece: &[u8], limit: u64) -> Result<(), Unread> {
    let room = usize::try_from(limit).unwrap_or(usize::MAX) - body.len();
    body.extend_from_slice(&piece[..piece.len().min(room)]);
    if piece.len() > room { Err(Unread::Incomplete(Incomplete::TooLarge(limit))) } else { Ok(()) }
}

/// Why the rest of a body was not read.
enum Unread {
    Incomplete(Incomplete),
    Failed(reqwest::Error),
}

impl From<io::Error> for Unread {
    /// Of the decoder: what it can't decode was cut off or damaged on its way.
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

/// A text without the byte-order mark before it.
pub(crate) fn without_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text)
}

/// How fast a body arrives.
struct Pace {
    window: Duration,
    end: Instant,
    /// Bytes in this window.
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

    /// Waits for the next piece, through the ends of windows that had enough.
    ///
    /// # Errors
    /// [`Incomplete::Slow`] at the end of a window that had not.
    async fn await_piece<T>(&mut self, piece: impl Future<Output = T>) -> Result<T, Incomplete> {
        let mut piece = std::pin::pin!(piece);
        loop {
            if let Ok(piece) = timeout_at(self.end, &mut piece).await {
                return Ok(piece);
            }
            if self.received < FLOOR {
                return Err(Incomplete::Slow { floor: FLOOR, window: self.window });
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

    /// Takes pieces of this size, one every `pause`, for an hour; tells when that was too slow.
    async fn too_slow_after(idle: Duration, bytes: u64, pause: Duration) -> Option<Duration> {
        let (start, mut pace) = (Instant::now(), Pace::new(idle));
        while start.elapsed() < SECOND * 3_600 {
            if pace.await_piece(sleep(pause)).await.is_err() {
                return Some(start.elapsed().saturating_sub(Duration::from_millis(1)));
            }
            pace.received(usize::try_from(bytes).unwrap());
        }
        None
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_trickles_ends_with_its_window() {
        let after = too_slow_after(SECOND * 30, 1, SECOND).await.unwrap();
        assert!((SECOND * 59..=SECOND * 60).contains(&after), "{after:?}");
        // No window is shorter than the time that nothing may come in.
        let after = too_slow_after(SECOND * 300, 1, SECOND).await.unwrap();
        assert!((SECOND * 299..=SECOND * 300).contains(&after), "{after:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_body_that_keeps_up_is_read_for_as_long_as_it_takes() {
        assert_eq!(too_slow_after(SECOND * 30, FLOOR, SECOND * 29).await, None);
        assert_eq!(too_slow_after(SECOND * 30, FLOOR / 50, SECOND).await, None);
    }

    #[test]
    fn only_a_mark_at_the_beginning_is_skipped() {
        assert_eq!(without_mark("\u{feff}{}".as_bytes()), b"{}");
        assert_eq!(without_mark("{\u{feff}}".as_bytes()), "{\u{feff}}".as_bytes());
        assert_eq!(without_mark(b"\xef\xbb"), b"\xef\xbb");
    }
}
