//! The Discovery API's client: the two requests that a crawl makes, and what can go wrong with them.

pub(crate) mod body;
pub(crate) mod buffers;
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
pub(crate) mod recording;
pub(crate) mod redact;
pub(crate) mod region_check;
pub(crate) mod request;
pub(crate) mod retry;
pub(crate) mod retry_after;
pub(crate) mod scanner;
pub(crate) mod throttle;

use std::cell::Cell;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use catalog_shared::exit::Stop;
use catalog_shared::region::Region;
use reqwest::{Client, Url};

use crate::api::body::Limits;
use crate::api::buffers::Buffers;
use crate::api::error::{ApiError, Failed, Sender};
use crate::api::error_response::WorkingPaths;
use crate::api::recording::Recorder;
use crate::api::redact::Redactor;
use crate::api::throttle::Throttle;
use crate::config::CrawlArgs;
use crate::model::domains::Domains;
use crate::model::page::Page;
use crate::progress::counters::Counters;

/// How many objects to ask for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PageRequest {
    pub(crate) size: u16,
    /// Whether fewer may be asked for. An answer that isn't complete is the caller's business then, who
    /// does so at once; else the same is asked again.
    pub(crate) can_shrink: bool,
    /// Whether an answer that is no JSON is cut by its strings and brackets at once, and not only when it comes
    /// again.
    pub(crate) leniently: bool,
}

/// A client of one region's API, polite over all lanes that share it.
pub(crate) struct Discovery {
    http: Client,
    url: Url,
    region: Region,
    /// The domains that are asked for, as the API takes them; none for all.
    domains: Option<String>,
    throttle: Throttle,
    retry_for: Duration,
    limits: Limits,
    sends_token: bool,
    working: WorkingPaths,
    counters: Arc<Counters>,
    redactor: Redactor,
    buffers: Buffers,
    recorder: Option<Recorder>,
}

impl Discovery {
    pub(crate) fn new(args: &CrawlArgs, url: Url, counters: Arc<Counters>) -> anyhow::Result<Self> {
        let http = client::open(args)?;
        let domains = Some(args.scope.domains().join(",")).filter(|domains| !domains.is_empty());
        let redactor = Redactor::new(args.app_token.as_ref());
        let recorder = recorder(args, &redactor)?;
        Ok(Self {
            http,
            url,
            region: args.region,
            domains,
            throttle: Throttle::new(args.rate),
            retry_for: args.retry_for,
            limits: Limits { bytes: args.max_page_bytes, idle: args.timeout },
            sends_token: client::sent_token(args).is_some(),
            working: WorkingPaths::default(),
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

    /// The assets behind an id, in id order. Without a `scroll_id`, even an empty one, the API would
    /// answer in order of relevance. An answer that `check` refuses is an error like others.
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
        self.persist(url, request.can_shrink, reader(request, check)).await
    }

    /// The assets from a place on in the order of their last update, the newest first.
    pub(crate) async fn newest(
        &self,
        offset: u16,
        request: PageRequest,
        check: impl Fn(&Page) -> Result<(), ApiError>,
    ) -> Result<Page, Failed> {
        let mut url = self.url.clone();
        let place = [("offset", offset.to_string()), ("limit", request.size.to_string())];
        url.query_pairs_mut().append_pair("order", "updatedAt DESC").extend_pairs(place);
        if let Some(domains) = &self.domains {
            url.query_pairs_mut().append_pair("domains", domains);
        }
        self.persist(url, request.can_shrink, reader(request, check)).await
    }

    /// Asks for the chosen domains, so that one that the API doesn't know is refused before a run begins.
    ///
    /// # Errors
    /// [`Stop::Usage`] with what the API says of an unknown domain; else why it can't be asked.
    pub(crate) async fn check_domains(&self) -> anyhow::Result<()> {
        if self.domains.is_none() {
            return Ok(());
        }
        let one = PageRequest { size: 1, can_shrink: false, leniently: false };
        match self.page("", one, |_| Ok(())).await {
            Ok(_) => Ok(()),
            Err(Failed {
                error: ApiError::Status { status: 404, sender: Sender::Api, message, .. },
                request_id,
                ..
            }) => {
                let told = format!("--domain: the API answered: {message} (request {request_id})");
                Err(Stop::Usage(told).into())
            }
            // They are known. What is wrong with their first object is for the crawl to deal with.
            Err(error) if error.incomplete_head().is_some() && error.will_stay() => Ok(()),
            Err(error) => Err(error).context("can't ask for the domains of --domain"),
        }
    }

    /// How many assets each domain has.
    pub(crate) async fn domains(&self) -> Result<Domains, Failed> {
        let mut url = self.url.clone();
        url.set_path(&format!("{}/domains", self.url.path()));
        let again = Cell::new(false);
        let read = |body: &Bytes| match domains::read(body) {
            Err(ApiError::Unreadable(_)) if again.replace(true) => domains::read_loosely(body),
            read => read,
        };
        self.persist(url, false, read).await
    }
}

/// Reads an answer as a page. One that is no JSON is asked for once more before it is cut all the same: the first
/// may have been an odd one of many servers.
fn reader(
    request: PageRequest,
    check: impl Fn(&Page) -> Result<(), ApiError>,
) -> impl Fn(&Bytes) -> Result<Page, ApiError> {
    let again = Cell::new(request.leniently);
    move |body| {
        let page = match parse::page(body) {
            Err(error @ ApiError::Unreadable(_)) if again.replace(true) => invalid_json::cut(body, error)?,
            cut => cut?,
        };
        check(&page)?;
        Ok(page)
    }
}

fn recorder(args: &CrawlArgs, redactor: &Redactor) -> anyhow::Result<Option<Recorder>> {
    let open = |folder: &PathBuf| {
        let opened = Recorder::open(folder, redactor.clone());
        opened.with_context(|| format!("can't record to {} (--record)", folder.display()))
    };
    args.record.as_ref().map(open).transpose()
}
