//! Single requests whose answers are returned whatever their status is, without retries.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use reqwest::header::HeaderMap;
use reqwest::{Client, Url};
use secrecy::SecretString;

use crate::api::body::{self, BodyLimits};
use crate::api::byte_order_mark::without_bom;
use crate::api::error::ApiError;
use crate::api::rate_limiter::RateLimiter;
use crate::api::redact::Redactor;
use crate::api::{client, error_response, parse};
use crate::config::RateLimit;
use crate::model::page::Page;

/// The maximum size of an answer. The largest known object has 194 KB, and `/domains` has some hundred lines.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// Sends single requests at a rate.
pub(crate) struct RawClient {
    http: Client,
    url: Url,
    rate_limiter: RateLimiter,
    limits: BodyLimits,
    redactor: Redactor,
    sends_token: bool,
}

/// An answer of any status.
pub(crate) struct RawAnswer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    /// Without a possible token.
    pub(crate) body: Bytes,
    /// From the request to the end of the body, without the wait for the rate limit.
    pub(crate) took: Duration,
}

impl RawClient {
    /// A client that waits at most `timeout` for data.
    ///
    /// # Errors
    /// Same as [`client::open`].
    pub(crate) fn new(
        url: Url,
        token: Option<&SecretString>,
        rate: RateLimit,
        timeout: Duration,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            http: client::open(token, timeout)?,
            url,
            rate_limiter: RateLimiter::new(rate),
            limits: BodyLimits { bytes: MAX_BYTES, idle: timeout },
            redactor: Redactor::new(token),
            sends_token: client::sent_token(token).is_some(),
        })
    }

    /// Sends one request to a path below the catalog's URL.
    ///
    /// # Errors
    /// If there is no complete answer.
    pub(crate) async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<RawAnswer, ApiError> {
        let mut url = self.url.clone();
        url.set_path(&format!("{}{path}", self.url.path()));
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.rate_limiter.ready().await;
        let sent = Instant::now();
        let response = self.http.get(url).send().await.map_err(ApiError::unanswered)?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let mut received = BytesMut::new();
        body::read(response, &mut received, self.limits, |_| {}).await?;
        let received = self.redactor.redact(received.freeze());
        let body = received.slice_ref(without_bom(&received));
        Ok(RawAnswer { status, headers, body, took: sent.elapsed() })
    }

    /// The error of an answer with another status than 200, as a crawl would report it.
    pub(crate) fn refused(&self, answer: &RawAnswer) -> ApiError {
        let request = error_response::Request {
            url: &self.url,
            sent_token: self.sends_token,
            path_worked: false,
            redactor: &self.redactor,
        };
        let status = reqwest::StatusCode::from_u16(answer.status).unwrap_or_default();
        error_response::read(status, &answer.headers, &answer.body, &request)
    }

    /// Redacts a possible token in a header.
    pub(crate) fn header(&self, answer: &RawAnswer, name: &str) -> Option<String> {
        let value = Bytes::copy_from_slice(answer.headers.get(name)?.as_bytes());
        Some(String::from_utf8_lossy(&self.redactor.redact(value)).into_owned())
    }
}

impl RawAnswer {
    /// The answer as a page of results.
    ///
    /// # Errors
    /// If it is not a page.
    pub(crate) fn page(&self) -> Result<Page, ApiError> {
        parse::page(&self.body)
    }

    /// The API's own message about an error; `None` if the answer has neither of the API's two forms.
    pub(crate) fn api_message(&self) -> Option<String> {
        error_response::api_message(&self.body)
    }
}
