//! The Discovery API's client: the two requests that a crawl makes, and what can go wrong with them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use bytes::Bytes;
use catalog_shared::exit::Stop;
use catalog_shared::region::Region;
use reqwest::header::{HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::time::sleep;
use tracing::Instrument;
use uuid::Uuid;

use crate::cassette::{Exchange, Recorder};
use crate::cli::CrawlArgs;
use crate::error::{ApiError, Failed, Incomplete};
use crate::page::Page;
use crate::redact::Redactor;
use crate::retry::Retry;
use crate::tally::Tally;
use crate::throttle::Throttle;

/// How many objects to ask for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask {
    pub(crate) size: u16,
    /// Whether fewer may be asked for. An answer that isn't complete is the caller's business then, who
    /// does so at once; else the same is asked again.
    pub(crate) can_shrink: bool,
}

/// A client of one region's API, polite over all lanes that share it.
pub(crate) struct Discovery {
    http: Client,
    url: Url,
    region: Region,
    throttle: Throttle,
    retry_for: Duration,
    max_page_bytes: u64,
    tally: Arc<Tally>,
    redactor: Redactor,
    recorder: Option<Recorder>,
}

impl Discovery {
    pub(crate) fn new(args: &CrawlArgs, url: Url, tally: Arc<Tally>) -> anyhow::Result<Self> {
        let http = Client::builder()
            // A token must not follow to another host, nor a crawl to another region.
            .redirect(Policy::none())
            .default_headers(token_header(args.app_token.as_ref())?)
            .user_agent(concat!("catalog-stream/", env!("CARGO_PKG_VERSION")))
            .read_timeout(args.timeout)
            .connect_timeout(args.timeout)
            .build()?;
        let redactor = Redactor::new(args.app_token.as_ref());
        let recorder = recorder(args, &redactor)?;
        Ok(Self {
            http,
            url,
            region: args.region,
            throttle: Throttle::new(args.rate),
            retry_for: args.retry_for,
            max_page_bytes: args.max_page_bytes,
            tally,
            redactor,
            recorder,
        })
    }

    /// The assets behind an id, in id order. Without a `scroll_id`, even an empty one, the API would
    /// answer in order of relevance. An answer that `check` refuses is an error like others.
    pub(crate) async fn page(
        &self,
        after: &str,
        ask: Ask,
        check: impl Fn(&Page) -> Result<(), ApiError>,
    ) -> Result<Page, Failed> {
        let mut url = self.url.clone();
        url.query_pairs_mut().append_pair("scroll_id", after).append_pair("limit", &ask.size.to_string());
        let read = |body: &Bytes| {
            let page = Page::cut(body)?;
            check(&page)?;
            Ok(page)
        };
        self.persist(url, ask.can_shrink, read).await
    }

    /// How many assets each domain has.
    pub(crate) async fn domains(&self) -> Result<BTreeMap<String, u64>, Failed> {
        let mut url = self.url.clone();
        url.set_path(&format!("{}/domains", self.url.path()));
        self.persist(url, false, |body| read_domains(body)).await
    }

    /// Sends a request until its answer can be read, it's not worth another try, or the budget is spent.
    async fn persist<T>(
        &self,
        url: Url,
        can_shrink: bool,
        read: impl Fn(&Bytes) -> Result<T, ApiError>,
    ) -> Result<T, Failed> {
        let mut retry = None;
        loop {
            self.tally.limited(self.throttle.ready()).await;
            let request_id = Uuid::new_v4();
            let span = tracing::debug_span!("request", %request_id);
            let error =
                match self.fetch(url.clone(), request_id).instrument(span).await.and_then(|body| read(&body))
                {
                    Ok(answer) => return Ok(answer),
                    Err(error) => error,
                };
            if can_shrink && error.incomplete_head().is_some() {
                self.tally.retried(&error, Duration::ZERO);
                tracing::warn!(%request_id, %error, "asking the API for a smaller page");
                return Err(Failed { request_id, error });
            }
            // The budget counts from the first error, not from the queue for the first try.
            let retry = retry.get_or_insert_with(|| Retry::new(self.retry_for));
            let Some(wait) = retry.after(&error) else { return Err(Failed { request_id, error }) };
            self.tally.retried(&error, wait);
            let throttled = error.is_throttled();
            let error = anyhow::Error::from(error);
            tracing::warn!(%request_id, error = format!("{error:#}"), ?wait, "asking the API again");
            if throttled {
                self.throttle.pause(wait);
            } else {
                sleep(wait).await;
            }
        }
    }

    async fn fetch(&self, url: Url, request_id: Uuid) -> Result<Bytes, ApiError> {
        self.tally.requested();
        let mut exchange = Exchange::asked(&url);
        let failed = self.exchange(url, request_id, &mut exchange).await.err();
        if let Some(recorder) = &self.recorder {
            recorder.keep(&exchange, failed.as_ref()).await.map_err(ApiError::Unrecorded)?;
        }
        if let Some(status) = exchange.status().filter(|status| *status != StatusCode::OK) {
            let retry_after = retry_after(exchange.headers(), SystemTime::now());
            return Err(refusal(status, retry_after, &self.redactor.hide(exchange.into_body())));
        }
        if let Some(error) = failed {
            return Err(error);
        }
        self.check_region(exchange.headers())?;
        Ok(self.redactor.hide(exchange.into_body()))
    }

    /// Refuses the other region's answer. One that names no region that is known here may be a mirror's.
    fn check_region(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        let told = headers.get("X-Socrata-Region").and_then(|told| told.to_str().ok()).unwrap_or_default();
        let names = |region: &Region| told.split('-').any(|part| part.eq_ignore_ascii_case(region.name()));
        match Region::ALL.iter().find(|region| names(region)) {
            Some(other) if *other != self.region => Err(ApiError::OtherRegion(told.to_owned())),
            _ => Ok(()),
        }
    }

    async fn exchange(&self, url: Url, id: Uuid, exchange: &mut Exchange) -> Result<(), ApiError> {
        let request = self.http.get(url).header("X-Request-Id", id.to_string());
        let response = request.send().await.map_err(unanswered)?;
        let limit = if response.status() == StatusCode::OK { self.max_page_bytes } else { REFUSAL };
        exchange.read(response, limit, |bytes| self.tally.received(bytes)).await
    }
}

fn recorder(args: &CrawlArgs, redactor: &Redactor) -> anyhow::Result<Option<Recorder>> {
    let open = |folder: &PathBuf| {
        let opened = Recorder::open(folder, redactor.clone());
        opened.with_context(|| format!("can't record to {} (--record)", folder.display()))
    };
    args.record.as_ref().map(open).transpose()
}

fn token_header(token: Option<&SecretString>) -> Result<HeaderMap, Stop> {
    let mut headers = HeaderMap::new();
    if let Some(token) = token.map(ExposeSecret::expose_secret).filter(|token| !token.is_empty()) {
        let mut value = HeaderValue::from_str(token).map_err(|_| {
            Stop::Usage("--app-token (SOCRATA_APP_TOKEN) can't be a header's value".to_owned())
        })?;
        value.set_sensitive(true);
        headers.insert("X-App-Token", value);
    }
    Ok(headers)
}

/// A request without an answer: late if the server was there and said nothing.
fn unanswered(error: reqwest::Error) -> ApiError {
    if error.is_timeout() && !error.is_connect() {
        return ApiError::incomplete(Incomplete::Late, &[], Some(error));
    }
    ApiError::Transport(error)
}

/// How much of an answer that isn't understood goes into a message, in characters.
const EXCERPT: usize = 200;
/// How much of a refusal is read, in bytes.
const REFUSAL: u64 = 64 * 1024;

/// The API says `{"error": "text"}`; a proxy before it says what it likes.
fn refusal(status: StatusCode, retry_after: Option<Duration>, body: &[u8]) -> ApiError {
    #[derive(Deserialize)]
    struct Refusal {
        error: String,
    }
    let mut message = serde_json::from_slice(body)
        .map_or_else(|_| excerpt(&String::from_utf8_lossy(body)), |told: Refusal| told.error);
    if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
        message.push_str(" (is the app token right? It comes from SOCRATA_APP_TOKEN)");
    }
    ApiError::Status { status: status.as_u16(), message, retry_after }
}

/// `Retry-After` in both of its forms, seconds or a date (RFC 9110, 10.2.3).
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

fn excerpt(text: &str) -> String {
    text.chars().take(EXCERPT).collect()
}

fn read_domains(body: &[u8]) -> Result<BTreeMap<String, u64>, ApiError> {
    #[derive(Deserialize)]
    struct Answer {
        results: Vec<Declared>,
    }
    #[derive(Deserialize)]
    struct Declared {
        domain: String,
        count: u64,
    }
    let answer: Answer = serde_json::from_slice(body).map_err(|error| unreadable(&error, body))?;
    Ok(answer.results.into_iter().map(|told| (told.domain, told.count)).collect())
}

/// What a body that isn't the expected JSON is: the beginning of it, or something else.
pub(crate) fn unreadable(error: &serde_json::Error, body: &[u8]) -> ApiError {
    if error.is_eof() {
        return ApiError::incomplete(Incomplete::CutOff, body, None);
    }
    let start = String::from_utf8_lossy(&body[..body.len().min(EXCERPT)]);
    ApiError::Unreadable(format!("{error}; it starts with {start:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Worth;

    #[test]
    fn retry_after_is_read_in_both_forms() {
        let at = |text: &str, now| {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]);
            retry_after(&headers, now)
        };
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        assert_eq!(at("120", now), Some(Duration::from_secs(120)));
        assert_eq!(at("Sun, 06 Nov 1994 08:49:47 GMT", now), Some(Duration::from_secs(10)));
        assert_eq!(at("Sun, 06 Nov 1994 08:49:17 GMT", now), Some(Duration::ZERO));
        assert_eq!(at("soon", now), None);
    }

    #[test]
    fn html_for_json_is_told_with_its_beginning() {
        let error = read_domains(b"<html>busy</html>").unwrap_err();
        assert_eq!(error.worth(), Worth::Budget);
        assert!(error.to_string().contains("<html>busy"), "{error}");
    }
}
