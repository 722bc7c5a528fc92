//! The client of the Discovery API: its requests, retries and errors.

pub(crate) mod body;
pub(crate) mod buffers;
pub(crate) mod byte_order_mark;
pub(crate) mod client;
pub(crate) mod clock;
pub(crate) mod domains;
pub(crate) mod error;
pub(crate) mod error_response;
pub(crate) mod fast_parse;
pub(crate) mod fetch;
pub(crate) mod gzip;
pub(crate) mod invalid_json;
pub(crate) mod parse;
pub(crate) mod proxy;
pub(crate) mod rate_limiter;
pub(crate) mod raw;
pub(crate) mod recording;
pub(crate) mod redact;
pub(crate) mod region_check;
pub(crate) mod request;
pub(crate) mod retry;
pub(crate) mod retry_after;
pub(crate) mod scanner;
pub(crate) mod texts;

use std::cell::Cell;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use catalog_shared::exit::Stop;
use catalog_shared::region::Region;
use reqwest::{Client, Url};

use crate::api::body::BodyLimits;
use crate::api::buffers::Buffers;
use crate::api::error::{ApiError, Failed, Sender};
use crate::api::error_response::WorkingPaths;
use crate::api::rate_limiter::RateLimiter;
use crate::api::recording::ExchangeRecorder;
use crate::api::redact::Redactor;
use crate::config::CrawlArgs;
use crate::model::domains::Domains;
use crate::model::page::Page;
use crate::progress::counters::Counters;

/// The request for a page.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PageRequest {
    /// The number of objects.
    pub(crate) size: u16,
    /// Whether the caller can request a smaller page. Then an incomplete answer is returned to the caller at once;
    /// otherwise the same request is retried.
    pub(crate) can_shrink: bool,
    /// Whether an answer that is not JSON is parsed leniently at once, and not only after a retry.
    pub(crate) leniently: bool,
}

/// A client of one region's API. All lanes share its rate limit.
pub(crate) struct Discovery {
    http: Client,
    url: Url,
    region: Region,
    /// The selected domains as a comma-separated list; `None` for all.
    domains: Option<String>,
    rate_limiter: RateLimiter,
    retry_for: Duration,
    limits: BodyLimits,
    sends_token: bool,
    working_paths: WorkingPaths,
    counters: Arc<Counters>,
    redactor: Redactor,
    buffers: Buffers,
    recorder: Option<ExchangeRecorder>,
}

impl Discovery {
    /// The counters of its requests.
    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    pub(crate) fn new(args: &CrawlArgs, url: Url, counters: Arc<Counters>) -> anyhow::Result<Self> {
        let http = client::open(args.api.app_token.as_ref(), args.timeout)?;
        let domains = Some(args.scope.domains().join(",")).filter(|domains| !domains.is_empty());
        let redactor = Redactor::new(args.api.app_token.as_ref());
        let recorder = recorder(args, &redactor)?;
        Ok(Self {
            http,
            url,
            region: args.api.region,
            domains,
            rate_limiter: RateLimiter::new(args.api.rate),
            retry_for: args.retry_for,
            limits: BodyLimits { bytes: args.max_page_bytes, idle: args.timeout },
            sends_token: client::sent_token(args.api.app_token.as_ref()).is_some(),
            working_paths: WorkingPaths::default(),
            counters,
            redactor,
            buffers: Buffers::default(),
            recorder,
        })
    }

    /// The catalog's URL.
    pub(crate) const fn url(&self) -> &Url {
        &self.url
    }

    /// The assets after an id, in id order. `scroll_id` is always sent, even if empty, because the API would otherwise sort
    /// by relevance. An answer that `check` refuses is an error.
    pub(crate) async fn page(
        &self,
        after: &str,
        request: PageRequest,
        check: impl Fn(&Page) -> Result<(), ApiError>,
    ) -> Result<Page, Failed> {
        let mut url = self.url.clone();
        url.query_pairs_mut().append_pair("scroll_id", after).append_pair("limit", &request.size.to_string());
        if let Some(domains) = &self.domains {
            url.query_pairs_mut().append_pair("domains", domains);
        }
        self.send(url, request.can_shrink, reader(request, check)).await
    }

    /// The assets from a position on, sorted by date of update, newest first.
    pub(crate) async fn newest(
        &self,
        offset: u16,
        request: PageRequest,
        check: impl Fn(&Page) -> Result<(), ApiError>,
    ) -> Result<Page, Failed> {
        let mut url = self.url.clone();
        let position = [("offset", offset.to_string()), ("limit", request.size.to_string())];
        url.query_pairs_mut().append_pair("order", "updatedAt DESC").extend_pairs(position);
        if let Some(domains) = &self.domains {
            url.query_pairs_mut().append_pair("domains", domains);
        }
        self.send(url, request.can_shrink, reader(request, check)).await
    }

    /// Requests one asset of the selected domains, so that an unknown domain is refused before a run starts.
    ///
    /// # Errors
    /// [`Stop::Usage`] with the API's message about an unknown domain, otherwise the cause of the failure.
    pub(crate) async fn check_domains(&self) -> anyhow::Result<()> {
        if self.domains.is_none() {
            return Ok(());
        }
        let request = PageRequest { size: 1, can_shrink: false, leniently: false };
        match self.page("", request, |_| Ok(())).await {
            Ok(_) => Ok(()),
            Err(Failed {
                error: ApiError::Status { status: 404, sender: Sender::Api, message, .. },
                request_id,
                ..
            }) => {
                let message = format!("--domain: the API answered: {message} (request {request_id})");
                Err(Stop::Usage(message).into())
            }
            // The domains are known. The crawl handles an unreadable first object.
            Err(error) if error.incomplete_head().is_some() && error.is_permanent() => Ok(()),
            Err(error) => Err(error).context("can't check the domains of --domain"),
        }
    }

    /// The number of assets of each domain.
    pub(crate) async fn domains(&self) -> Result<Domains, Failed> {
        let mut url = self.url.clone();
        url.set_path(&format!("{}/domains", self.url.path()));
        let is_retry = Cell::new(false);
        let read = |body: &Bytes| match domains::read(body) {
            Err(ApiError::Unreadable(_)) if is_retry.replace(true) => domains::read_leniently(body),
            read => read,
        };
        self.send(url, false, read).await
    }
}

/// Parses an answer as a page. An answer that is not JSON is requested once more before it is parsed leniently, because
/// another server may answer correctly.
fn reader(
    request: PageRequest,
    check: impl Fn(&Page) -> Result<(), ApiError>,
) -> impl Fn(&Bytes) -> Result<Page, ApiError> {
    let is_retry = Cell::new(request.leniently);
    move |body| {
        let page = match parse::page(body) {
            Err(error @ ApiError::Unreadable(_)) if is_retry.replace(true) => {
                invalid_json::parse(body, error)?
            }
            parsed => parsed?,
        };
        check(&page)?;
        Ok(page)
    }
}

fn recorder(args: &CrawlArgs, redactor: &Redactor) -> anyhow::Result<Option<ExchangeRecorder>> {
    let open = |folder: &PathBuf| {
        let opened = ExchangeRecorder::open(folder, redactor.clone());
        opened.with_context(|| format!("can't record to {} (--record)", folder.display()))
    };
    args.record.as_ref().map(open).transpose()
}
