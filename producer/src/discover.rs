//! The Discovery API's client: the two requests that a crawl makes, and what can go wrong with them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use bytes::Bytes;
use catalog_shared::exit::Stop;
use reqwest::header::{HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use thiserror::Error;
use tokio::time::sleep;
use tracing::Instrument;
use uuid::Uuid;

use crate::cli::CrawlArgs;
use crate::page::Page;
use crate::retry::Retry;
use crate::summary::Tally;
use crate::throttle::Throttle;

/// Why a request had no usable answer.
#[derive(Debug, Error)]
pub(crate) enum ApiError {
    /// An HTTP status other than 200.
    #[error("the API answered {status}: {message}")]
    Status { status: u16, message: String, retry_after: Option<Duration> },
    /// No answer, or not all of it.
    #[error("the request failed")]
    Transport(#[from] reqwest::Error),
    /// An answer that isn't what the API's documentation describes: HTML from a proxy, JSON cut off.
    #[error("the answer can't be read: {0}")]
    Unreadable(String),
    /// An answer that can't be true. Asking again may help where an index was being rebuilt.
    #[error("the answer contradicts another one: {0}")]
    Contradiction(String),
    /// A server that doesn't follow the scroll's rules; a crawl of it would be no crawl.
    #[error("the API doesn't scroll by id: {0}")]
    NoScroll(String),
}

impl ApiError {
    /// Whether the same request may fare better later: 429, 5xx, network errors, timeouts, answers cut
    /// off and HTML for JSON; no other 4xx.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Status { status, .. } => *status == 429 || *status >= 500,
            Self::Transport(error) => !error.is_builder(),
            Self::Unreadable(_) | Self::Contradiction(_) => true,
            Self::NoScroll(_) => false,
        }
    }

    /// Whether it is said to the client as a whole, so that all lanes have to wait.
    pub(crate) const fn is_throttled(&self) -> bool {
        matches!(self, Self::Status { status: 429, .. })
    }

    pub(crate) const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

/// A client of one region's API, polite over all lanes that share it.
pub(crate) struct Discovery {
    http: Client,
    url: Url,
    /// The domains that are asked for, as the API takes them; none for all.
    domains: Option<String>,
    throttle: Throttle,
    retry_for: Duration,
    tally: Arc<Tally>,
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
        let domains = Some(args.scope.domains().join(",")).filter(|domains| !domains.is_empty());
        Ok(Self { http, url, domains, throttle: Throttle::new(args.rate), retry_for: args.retry_for, tally })
    }

    /// The assets behind an id, in id order, at most `limit`. Without a `scroll_id`, even an empty one,
    /// the API would answer in order of relevance. An answer that `check` refuses is an error like others.
    pub(crate) async fn page(
        &self,
        after: &str,
        limit: u16,
        check: impl Fn(&Page) -> Result<(), ApiError>,
    ) -> Result<Page, ApiError> {
        let mut url = self.url.clone();
        url.query_pairs_mut().append_pair("scroll_id", after).append_pair("limit", &limit.to_string());
        if let Some(domains) = &self.domains {
            url.query_pairs_mut().append_pair("domains", domains);
        }
        let read = |body: &Bytes| {
            let page = Page::cut(body)?;
            check(&page)?;
            Ok(page)
        };
        self.persist(url, read).await
    }

    /// The assets from a place on in the order of their last update, the newest first, at most `limit`.
    pub(crate) async fn newest(
        &self,
        offset: u16,
        limit: u16,
        check: impl Fn(&Page) -> Result<(), ApiError>,
    ) -> Result<Page, ApiError> {
        let mut url = self.url.clone();
        let place = [("offset", offset.to_string()), ("limit", limit.to_string())];
        url.query_pairs_mut().append_pair("order", "updatedAt DESC").extend_pairs(place);
        let read = |body: &Bytes| {
            let page = Page::cut(body)?;
            check(&page)?;
            Ok(page)
        };
        self.persist(url, read).await
    }

    /// Asks for the chosen domains, so that one that the API doesn't know is refused before a run begins.
    ///
    /// # Errors
    /// [`Stop::Usage`] with what the API says of an unknown domain; else why it can't be asked.
    pub(crate) async fn check_domains(&self) -> anyhow::Result<()> {
        if self.domains.is_none() {
            return Ok(());
        }
        match self.page("", 1, |_| Ok(())).await {
            Ok(_) => Ok(()),
            Err(ApiError::Status { status: 404, message, .. }) => {
                Err(Stop::Usage(format!("--domain: the API answered: {message}")).into())
            }
            Err(error) => Err(error).context("can't ask for the domains of --domain"),
        }
    }

    /// How many assets each domain has.
    pub(crate) async fn domains(&self) -> Result<BTreeMap<String, u64>, ApiError> {
        let mut url = self.url.clone();
        url.set_path(&format!("{}/domains", self.url.path()));
        self.persist(url, |body| read_domains(body)).await
    }

    /// Sends a request until its answer can be read, it's not worth another try, or the budget is spent.
    async fn persist<T>(
        &self,
        url: Url,
        read: impl Fn(&Bytes) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let mut retry = None;
        loop {
            self.throttle.ready().await;
            let request_id = Uuid::new_v4();
            let span = tracing::debug_span!("request", %request_id);
            let error =
                match self.fetch(url.clone(), request_id).instrument(span).await.and_then(|body| read(&body))
                {
                    Ok(answer) => return Ok(answer),
                    Err(error) => error,
                };
            // The budget counts from the first error, not from the queue for the first try.
            let retry = retry.get_or_insert_with(|| Retry::new(self.retry_for));
            let Some(wait) = retry.after(&error) else { return Err(error) };
            self.tally.retried();
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
        let request = self.http.get(url).header("X-Request-Id", request_id.to_string());
        let response = request.send().await?;
        if response.status() != StatusCode::OK {
            return Err(refusal(response).await);
        }
        let body = response.bytes().await?;
        self.tally.received(body.len());
        Ok(body)
    }
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

/// How much of an answer that isn't understood goes into a message, in characters.
const EXCERPT: usize = 200;

/// The API says `{"error": "text"}`; a proxy before it says what it likes.
async fn refusal(response: Response) -> ApiError {
    #[derive(Deserialize)]
    struct Refusal {
        error: String,
    }
    let status = response.status().as_u16();
    let retry_after = retry_after(response.headers(), SystemTime::now());
    let body = response.text().await.unwrap_or_default();
    let message = serde_json::from_str(&body).map_or_else(|_| excerpt(&body), |told: Refusal| told.error);
    ApiError::Status { status, message, retry_after }
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

pub(crate) fn excerpt(text: &str) -> String {
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

/// What a body that isn't the expected JSON looked like.
pub(crate) fn unreadable(error: &serde_json::Error, body: &[u8]) -> ApiError {
    let start = &body[..body.len().min(EXCERPT)];
    ApiError::Unreadable(format!("{error}; it starts with {:?}", String::from_utf8_lossy(start)))
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert!(error.is_transient());
        assert!(error.to_string().contains("<html>busy"), "{error}");
    }
}
