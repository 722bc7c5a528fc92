//! Responses, and their bodies in pieces.

use std::io;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream::{self, Stream};
use tokio_util::sync::CancellationToken;

use super::answer::Ending;
use super::log::Ticket;

/// Bodies are sent in pieces of this many bytes.
const PIECE: usize = 64 * 1024;

/// The response, unless a header of it (a test's own `Retry-After`) can't be sent.
pub(super) fn built(response: axum::http::Result<Response>) -> Response {
    response.unwrap_or_else(|error| {
        tracing::error!(%error, "an answer could not be built");
        StatusCode::INTERNAL_SERVER_ERROR.into_response()
    })
}

/// The body, together with the ticket: the request is in flight until its last piece was sent. A
/// stream is sent in chunks, unless a header contains its length.
pub(super) fn pieces(
    body: Bytes,
    ending: Ending,
    lifted: CancellationToken,
    ticket: Ticket,
) -> impl Stream<Item = io::Result<Bytes>> {
    let half = body.len() / 2;
    stream::unfold((body, half, ticket), move |(mut body, half, ticket)| {
        let lifted = lifted.clone();
        async move {
            if body.is_empty() {
                return None;
            }
            if body.len() <= half && ending == Ending::Cut {
                // Lets the first half be sent, because an immediate error would remove it from the buffer.
                tokio::task::yield_now().await;
                let gone = io::Error::from(io::ErrorKind::ConnectionAborted);
                return Some((Err(gone), (Bytes::new(), half, ticket)));
            }
            if body.len() <= half && ending == Ending::Stalled {
                lifted.cancelled().await;
            }
            let piece = body.split_to(next_piece(body.len(), half));
            Some((Ok(piece), (body, half, ticket)))
        }
    })
}

/// The length of the next piece. No piece crosses the middle, where faults occur.
fn next_piece(left: usize, half: usize) -> usize {
    let until_middle = if left > half { left - half } else { left };
    until_middle.min(PIECE)
}
