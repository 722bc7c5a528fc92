//! Answers from a recording instead of a catalog.

use std::future::pending;

use axum::body::Body;
use axum::http::StatusCode;
use axum::http::header::CONTENT_LENGTH;
use axum::response::Response;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::answer::Ending;
use super::line::Line;
use super::log::Ticket;
use super::recording::{Ended, Recorded, Recording};
use super::response::{built, pieces};

/// The status for a request that is not in the recording. The API never sends it, and clients don't retry it.
const NOT_RECORDED: StatusCode = StatusCode::GONE;

/// Answers as recorded, with the same end.
pub(super) async fn answer(recording: &Recording, line: &Line, ticket: Ticket) -> Response {
    let Some(recorded) = recording.take(ticket.request()) else { return refuse(&ticket) };
    // If a body broke off before its first byte, the head would not be sent either.
    let begun = recorded.status.filter(|_| recorded.ended == Ended::Whole || !recorded.body.is_empty());
    match begun {
        Some(status) => {
            ticket.answered(status);
            respond(recorded, status, ticket)
        }
        None if recorded.ended == Ended::Timeout => pending().await,
        None => {
            line.reset();
            Response::default()
        }
    }
}

/// An answer that broke off is sent as one of twice the length that breaks off in the middle, and one that was
/// too large as one of twice the length.
fn respond(recorded: Recorded, status: u16, ticket: Ticket) -> Response {
    let Recorded { headers, body, ended, .. } = recorded;
    let (body, ending) = match ended {
        Ended::Whole => (body, Ending::Whole),
        Ended::TooLarge => (body.repeat(2).into(), Ending::Whole),
        Ended::Reset => (body.repeat(2).into(), Ending::Cut),
        Ended::Timeout => (body.repeat(2).into(), Ending::Stalled),
    };
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(name, value);
    }
    if ending == Ending::Cut {
        response = response.header(CONTENT_LENGTH, body.len());
    }
    // Never cancelled: a stalled answer stays stalled until the client disconnects.
    let lifted = CancellationToken::new();
    built(response.body(Body::from_stream(pieces(body, ending, lifted, ticket))))
}

fn refuse(ticket: &Ticket) -> Response {
    let request = ticket.request();
    tracing::error!(path = request.path, query = ?request.query, attempt = request.attempt, "not in the recording");
    ticket.answered(NOT_RECORDED.as_u16());
    let error = format!(
        "not in the recording, at least not {} times: {} {} {:?}",
        request.attempt, request.method, request.path, request.query
    );
    built(Response::builder().status(NOT_RECORDED).body(Body::from(json!({ "error": error }).to_string())))
}
