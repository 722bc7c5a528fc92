//! The Discovery API's client: the two requests that a crawl makes, and what can go wrong with them.

pub(crate) mod body;
pub(crate) mod buffers;
pub(crate) mod cassette;
pub(crate) mod clock;
pub(crate) mod cut;
pub(crate) mod domains;
pub(crate) mod error;
pub(crate) mod page;
pub(crate) mod redact;
pub(crate) mod refusal;
pub(crate) mod retry;
pub(crate) mod throttle;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use catalog_shared::exit::Stop;
use catalog_shared::region::Region;
use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::sleep;
use tracing::Instrument;
use uuid::Uuid;

use crate::cli::CrawlArgs;
use crate::discover::buffers::Buffers;
use crate::discover::cassette::{Exchange, Recorder};
use crate::discover::error::{ApiError, Failed, Worth};
use crate::discover::page::Page;
use crate::discover::redact::Redactor;
use crate::discover::retry::Retry;
use crate::discover::throttle::{Throttle, Waited};
use crate::report::tally::Tally;

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
    /// The domains that are asked for, as the API takes them; none for all.
    domains: Option<String>,
    throttle: Throttle,
    retry_for: Duration,
    max_page_bytes: u64,
    tally: Arc<Tally>,
    redactor: Redactor,
    buffers: Buffers,
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
            max_page_bytes: args.max_page_bytes,
            tally,
            redactor,
            buffers: Buffers::default(),
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
        if let Some(domains) = &self.domains {
            url.query_pairs_mut().append_pair("domains", domains);
        }
        let read = |body: &Bytes| {
            let page = Page::cut(body)?;
            check(&page)?;
            Ok(page)
        };
        self.persist(url, ask.can_shrink, read).await
    }

    /// The assets from a place on in the order of their last update, the newest first.
    pub(crate) async fn newest(
        &self,
        offset: u16,
        ask: Ask,
        check: impl Fn(&Page) -> Result<(), ApiError>,
    ) -> Result<Page, Failed> {
        let mut url = self.url.clone();
        let place = [("offset", offset.to_string()), ("limit", ask.size.to_string())];
        url.query_pairs_mut().append_pair("order", "updatedAt DESC").extend_pairs(place);
        let read = |body: &Bytes| {
            let page = Page::cut(body)?;
            check(&page)?;
            Ok(page)
        };
        self.persist(url, ask.can_shrink, read).await
    }

    /// Asks for the chosen domains, so that one that the API doesn't know is refused before a run begins.
    ///
    /// # Errors
    /// [`Stop::Usage`] with what the API says of an unknown domain; else why it can't be asked.
    pub(crate) async fn check_domains(&self) -> anyhow::Result<()> {
        if self.domains.is_none() {
            return Ok(());
        }
        let one = Ask { size: 1, can_shrink: false };
        match self.page("", one, |_| Ok(())).await {
            Ok(_) => Ok(()),
            Err(Failed { error: ApiError::Status { status: 404, message, .. }, .. }) => {
                Err(Stop::Usage(format!("--domain: the API answered: {message}")).into())
            }
            Err(error) => Err(error).context("can't ask for the domains of --domain"),
        }
    }

    /// How many assets each domain has.
    pub(crate) async fn domains(&self) -> Result<BTreeMap<String, u64>, Failed> {
        let mut url = self.url.clone();
        url.set_path(&format!("{}/domains", self.url.path()));
        self.persist(url, false, |body| domains::read(body)).await
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
            self.tally.waited(self.throttle.ready().await);
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
                return Err(Failed { request_id, spent: None, error });
            }
            // The budget counts from the first error, not from the queue for the first try.
            let retry = retry.get_or_insert_with(|| Retry::new(self.retry_for));
            let Some(wait) = retry.after(&error) else {
                let spent = (error.worth() == Worth::Budget).then_some(self.retry_for);
                return Err(Failed { request_id, spent, error });
            };
            self.tally.retried(&error, wait);
            let throttled = error.is_throttled();
            let error = anyhow::Error::from(error);
            tracing::warn!(%request_id, error = format!("{error:#}"), ?wait, "asking the API again");
            self.hold_back(throttled, wait).await;
        }
    }

    /// Holds every lane back where the API has had enough of this client, else the caller alone.
    async fn hold_back(&self, throttled: bool, wait: Duration) {
        if throttled {
            self.throttle.pause(wait);
        } else {
            sleep(wait).await;
            self.tally.waited(Waited { paused: wait, ..Waited::default() });
        }
    }

    async fn fetch(&self, url: Url, request_id: Uuid) -> Result<Bytes, ApiError> {
        self.tally.requested();
        let mut exchange = Exchange::asked(&url, self.buffers.take());
        let failed = self.exchange(url, request_id, &mut exchange).await.err();
        if let Some(recorder) = &self.recorder {
            recorder.keep(&exchange, failed.as_ref()).await.map_err(ApiError::Unrecorded)?;
        }
        if let Some(status) = exchange.status().filter(|status| *status != StatusCode::OK) {
            let headers = exchange.headers().clone();
            return Err(refusal::read(status, &headers, &self.redactor.hide(exchange.into_body().freeze())));
        }
        if let Some(error) = failed {
            return Err(error);
        }
        self.check_region(exchange.headers())?;
        Ok(self.redactor.hide(self.buffers.lend(exchange.into_body())))
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
        let response = request.send().await.map_err(ApiError::unanswered)?;
        let limit = if response.status() == StatusCode::OK { self.max_page_bytes } else { refusal::BYTES };
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

#[cfg(test)]
mod tests {
    use clap::Parser;
    use tokio::time::Instant;

    use super::*;
    use crate::cli::{Cli, Command};

    fn discovery(region: &str) -> Discovery {
        let line = ["catalog-producer", "crawl", "--region", region, "--rate", "none"];
        let Command::Crawl(args) = Cli::try_parse_from(line).unwrap().command else { panic!("{line:?}") };
        Discovery::new(&args, args.api_url().unwrap(), Arc::default()).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_throttled_lane_holds_back_all_and_another_error_only_its_own() {
        const WAIT: Duration = Duration::from_secs(30);
        let (us, start) = (discovery("us"), Instant::now());
        let other_lane = async {
            us.throttle.ready().await;
            start.elapsed()
        };
        let (waited, ()) = tokio::join!(other_lane, us.hold_back(false, WAIT));
        assert_eq!((waited, start.elapsed() >= WAIT), (Duration::ZERO, true));

        let start = Instant::now();
        us.hold_back(true, WAIT).await;
        us.throttle.ready().await;
        assert!(start.elapsed() >= WAIT);
    }

    #[tokio::test]
    async fn only_the_other_region_is_refused() {
        let is_refused = |crawled, told: &str| {
            let headers = [("X-Socrata-Region".parse().unwrap(), told.parse().unwrap())];
            discovery(crawled).check_region(&HeaderMap::from_iter(headers)).is_err()
        };
        assert!(is_refused("us", "aws-eu-west-1-prod") && is_refused("eu", "aws-us-east-1-fedramp-prod"));
        assert!(!is_refused("eu", "aws-eu-west-1-prod") && !is_refused("us", "aws-us-east-1-fedramp-prod"));
        assert!(!is_refused("us", "mirror") && !is_refused("eu", ""));
    }
}
