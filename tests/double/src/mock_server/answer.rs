//! Computes the answer to a request: the API's valid answers and refusals, with the effect of a fault.

use std::collections::HashSet;
use std::io::Write;

use axum::http::{Method, StatusCode};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;

use super::faults::Fault;
use super::form::Form;
use super::log::{CATALOG_PATH, DOMAINS_PATH, ReceivedRequest};
use super::options::Options;
use super::order::Order;
use super::query::{self, Refusal};
use super::search;

const JSON: &str = "application/json;charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";
const HTML_PAGE: &str = "<!DOCTYPE html>\n<html><head><title>Please wait</title></head><body><h1>One moment, please</h1></body></html>\n";

/// Bytes to reserve per object of a page: a little more than the mean of pretty-printed recordings.
const USUAL_SIZE: usize = 6_500;

/// How an answer's body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// Normally.
    Whole,
    /// The connection closes after half of `Content-Length`.
    Cut,
    /// The second half waits until the fault is lifted.
    Stalled,
}

/// An answer before it is sent.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) content_type: &'static str,
    pub(super) retry_after: Option<String>,
    pub(super) region: &'static str,
    pub(super) gzipped: bool,
    pub(super) body: Bytes,
    pub(super) ending: Ending,
}

/// The inputs of an answer, besides the request.
pub(super) struct Source<'a> {
    pub(super) options: &'a Options,
    pub(super) unreadable: &'a HashSet<String>,
    /// The number of the crawl, which decides the order of lists.
    pub(super) crawl: u64,
}

impl Source<'_> {
    fn form(&self) -> Form {
        let order = Order { seed: self.options.order_seed, crawl: self.crawl };
        Form { pretty: self.options.pretty, order: self.options.reorder.then_some(order) }
    }
}

/// Answers a request, with a fault or without. Blocks for as long as the search takes.
pub(super) fn compose(source: &Source<'_>, request: &ReceivedRequest, fault: Option<&Fault>) -> Answer {
    let options = source.options;
    let body = match fault {
        Some(Fault::Status { status, retry_after, body }) => {
            return fail(options, *status, retry_after, body);
        }
        Some(Fault::Html) => return html(options, StatusCode::OK),
        Some(Fault::Gateway { status }) => return html(options, status_code(*status)),
        fault => body(source, request, fault),
    };
    let mut answer = match body {
        Ok(body) => plain(options, StatusCode::OK, body),
        Err(refusal) => refuse(options, &refusal),
    };
    if options.gzip && accepts_gzip(request) {
        answer.body = gzip(&answer.body);
        answer.gzipped = true;
    }
    match fault {
        Some(Fault::CutConnection) => answer.ending = Ending::Cut,
        Some(Fault::Stall) => answer.ending = Ending::Stalled,
        Some(Fault::WrongRegion) => answer.region = options.region.other().header(),
        _ => {}
    }
    answer
}

fn plain(options: &Options, status: StatusCode, body: impl Into<Bytes>) -> Answer {
    Answer {
        status,
        content_type: JSON,
        retry_after: None,
        region: options.region.header(),
        gzipped: false,
        body: body.into(),
        ending: Ending::Whole,
    }
}

fn refuse(options: &Options, refusal: &Refusal) -> Answer {
    plain(options, refusal.status, refusal.body())
}

fn html(options: &Options, status: StatusCode) -> Answer {
    Answer { content_type: HTML, ..plain(options, status, HTML_PAGE) }
}

fn fail(options: &Options, status: u16, retry_after: &Option<String>, body: &Option<String>) -> Answer {
    let status = status_code(status);
    let own = || match status {
        StatusCode::TOO_MANY_REQUESTS => String::new(),
        StatusCode::INTERNAL_SERVER_ERROR => {
            json!({ "error": "We're sorry. Something went wrong." }).to_string()
        }
        status => json!({ "error": status.canonical_reason().unwrap_or("Unknown") }).to_string(),
    };
    let body = body.clone().unwrap_or_else(own);
    Answer { retry_after: retry_after.clone(), ..plain(options, status, body) }
}

fn status_code(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// The JSON of a valid answer, with the effect of a fault.
fn body(source: &Source<'_>, request: &ReceivedRequest, fault: Option<&Fault>) -> Result<Vec<u8>, Refusal> {
    check_method_and_token(source.options, request)?;
    let mut body = match request.path.as_str() {
        CATALOG_PATH => page(source, request, fault)?,
        DOMAINS_PATH => domains(source, request, fault)?,
        _ => return Err(Refusal::new(StatusCode::NOT_FOUND, "Not found")),
    };
    if matches!(fault, Some(Fault::CutJson)) {
        body.truncate(body.len() / 2);
    }
    Ok(body)
}

fn check_method_and_token(options: &Options, request: &ReceivedRequest) -> Result<(), Refusal> {
    if request.method != Method::GET {
        return Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed"));
    }
    let (Some(known), Some(token)) = (&options.tokens, request.headers.get("x-app-token")) else {
        return Ok(());
    };
    if token.to_str().is_ok_and(|token| known.contains(token)) {
        return Ok(());
    }
    Err(Refusal::by_the_edge(StatusCode::FORBIDDEN, "permission_denied", "Invalid app_token specified"))
}

fn page(source: &Source<'_>, request: &ReceivedRequest, fault: Option<&Fault>) -> Result<Vec<u8>, Refusal> {
    let catalog = &*source.options.catalog;
    let mut query = query::page(&request.query, catalog)?;
    match fault {
        Some(Fault::IgnoreScroll) => query.scroll_id = None,
        Some(Fault::FirstPageAgain) => query.scroll_id = query.scroll_id.map(|_| String::new()),
        _ => {}
    }
    let form = source.form();
    let room = usize::try_from(query.limit).unwrap_or_default() * USUAL_SIZE;
    Ok(envelope(form, fault, room, |body| search::search(catalog, &query, source.unreadable, form, body)))
}

fn domains(
    source: &Source<'_>,
    request: &ReceivedRequest,
    fault: Option<&Fault>,
) -> Result<Vec<u8>, Refusal> {
    let (form, catalog) = (source.form(), &*source.options.catalog);
    let filter = query::filter(&request.query, catalog)?;
    let lines = search::count(catalog, &filter);
    Ok(envelope(form, fault, 0, |body| {
        for (number, line) in lines.iter().enumerate() {
            if number > 0 {
                body.extend_from_slice(form.separator());
            }
            form.domain(&line.json(), body);
        }
        lines.len() as u64
    }))
}

/// Writes the envelope that both paths share. `write` appends the results and returns their number.
fn envelope(
    form: Form,
    fault: Option<&Fault>,
    room: usize,
    write: impl FnOnce(&mut Vec<u8>) -> u64,
) -> Vec<u8> {
    let mut body = Vec::with_capacity(room + 128);
    body.extend_from_slice(form.opening());
    let start = body.len();
    let size = write(&mut body);
    if matches!(fault, Some(Fault::NoResults)) {
        body.clear();
        body.extend_from_slice(form.without_member());
    } else if body.len() == start || matches!(fault, Some(Fault::EmptyResults)) {
        body.clear();
        body.extend_from_slice(form.no_results());
    } else {
        body.extend_from_slice(form.closing());
    }
    body.extend_from_slice(form.rest(size).as_bytes());
    body
}

fn accepts_gzip(request: &ReceivedRequest) -> bool {
    let accepted = request.headers.get_all("accept-encoding").iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        parts.next() == Some("gzip") && !parts.any(|weight| weight == "q=0")
    })
}

fn gzip(body: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    // Writing to a vector does not fail. If it did, the answer would be empty and a test would fail.
    let written = encoder.write_all(body).and_then(|()| encoder.finish());
    written.unwrap_or_default().into()
}
