//! An answer's body: read piece by piece, so that none takes more memory than it may.

use bytes::BytesMut;
use reqwest::Response;

use crate::discover::error::{ApiError, Incomplete};

/// Reads a body of at most `limit` bytes, as they are after decompression. `received` is told of each
/// piece.
///
/// # Errors
/// [`ApiError::Incomplete`], with what came, when it is longer, is cut off, or comes to a standstill.
pub(crate) async fn read(
    mut response: Response,
    body: &mut BytesMut,
    limit: u64,
    received: impl Fn(usize),
) -> Result<(), ApiError> {
    // Pages are of megabytes, and one that grows is copied each time that it has doubled.
    let announced = response.content_length().unwrap_or_default().min(limit);
    body.reserve(usize::try_from(announced).unwrap_or_default());
    loop {
        match response.chunk().await {
            Ok(Some(piece)) => {
                received(piece.len());
                let room = usize::try_from(limit).unwrap_or(usize::MAX) - body.len();
                body.extend_from_slice(&piece[..piece.len().min(room)]);
                if piece.len() > room {
                    return Err(ApiError::incomplete(Incomplete::TooLarge(limit), body, None));
                }
            }
            Ok(None) => return Ok(()),
            Err(error) => {
                let reason = if error.is_timeout() { Incomplete::Late } else { Incomplete::CutOff };
                return Err(ApiError::incomplete(reason, body, Some(error)));
            }
        }
    }
}
