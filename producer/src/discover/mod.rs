//! The Discovery API's client: the two requests that a crawl makes, and what can go wrong with them.

pub(crate) mod body;
pub(crate) mod buffers;
pub(crate) mod cassette;
pub(crate) mod client;
pub(crate) mod clock;
pub(crate) mod cut;
pub(crate) mod domains;
pub(crate) mod error;
pub(crate) mod origin;
pub(crate) mod page;
pub(crate) mod proxy;
pub(crate) mod redact;
pub(crate) mod refusal;
pub(crate) mod retry;
pub(crate) mod throttle;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use catalog_shared::exit::Stop;
use catalog_shared::region::Region;
use reqwest::{Client, StatusCode, Url};
use tokio::time::sleep;
use tracing::Instrument;
use uuid::Uuid;

use crate::cli::CrawlArgs;
use crate::discover::buffers::Buffers;
use crate::discover::cassette::{Exchange, Recorder};
use crate::discover::domains::Domains;
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
            Err(Failed { error: ApiError::Status { status: 404, message, .. }, request_id, .. }) => {
                let told = format!("--domain: the API answered: {message} (request {request_id})");
                Err(Stop::Usage(told).into())
            }
            Err(error) => Err(error).context("can't ask for the domains of --domain"),
        }
    }

    /// How many assets each domain has.
    pub(crate) async fn domains(&self) -> Result<Domains, Failed> {
        let mut url = self.url.clone();
        url.set_path(&format!("{}/domains", self.url.path()));
        self.persist(url, false, domains::read).await
    }

    /// Sends a request until its answer can be read, it's not worth another try, or the budget is spent.
    async fn persist<T>(
        &self,
        url: Url,
        can_shrink: bool,
        read: impl Fn(&Bytes) -> Result<T, ApiError>,
    ) -> Result<T, Failed> {
        let mut retry = None;
        let mut incomplete = 0;
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
            incomplete += u32::from(error.incomplete_head().is_some());
            if can_shrink && incomplete > 0 {
                self.tally.retried(&error, Duration::ZERO);
                tracing::warn!(%request_id, %error, "asking the API for a smaller page");
                return Err(Failed { request_id, spent: None, incomplete, error });
            }
            // The budget counts from the first error, not from the queue for the first try.
            let retry = retry.get_or_insert_with(|| Retry::new(self.retry_for));
            let Some(wait) = retry.after(&error) else {
                let spent = (error.worth() == Worth::Budget).then_some(self.retry_for);
                return Err(Failed { request_id, spent, incomplete, error });
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
        // Not even a part of another region's answer is of use.
        origin::check(self.region, exchange.headers(), &self.redactor)?;
        if let Some(error) = failed {
            return Err(error);
        }
        Ok(self.redactor.hide(self.buffers.lend(exchange.into_body())))
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

#[cfg(test)]
mod tests {
    use clap::Parser;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::Instant;

    use super::*;
    use crate::cli::{Cli, Command};

    fn discovery(flags: &[&str]) -> Discovery {
        let line = [&["catalog-producer", "crawl", "--region", "us", "--rate", "none"], flags].concat();
        let Command::Crawl(args) = Cli::try_parse_from(&line).unwrap().command else { panic!("{line:?}") };
        Discovery::new(&args, args.api_url().unwrap(), Arc::default()).unwrap()
    }

    #[tokio::test]
    async fn a_host_that_can_not_be_reached_is_no_reason_for_smaller_pages() {
        // The queue of connections that nobody takes is full with one; the system leaves more unanswered.
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(0).unwrap();
        let address = listener.local_addr().unwrap();
        let _first = tokio::net::TcpStream::connect(address).await.unwrap();
        let url = format!("http://{address}/");
        let flags = ["--api-url", &url, "--timeout", "1s", "--retry-for", "0s"];
        let ask = Ask { size: 1_000, can_shrink: true };
        let failed = discovery(&flags).page("", ask, |_| Ok(())).await.unwrap_err();
        assert!(matches!(failed.error, ApiError::Transport(_)), "{:?}", failed.error);
    }

    #[tokio::test(start_paused = true)]
    async fn a_throttled_lane_holds_back_all_and_another_error_only_its_own() {
        const WAIT: Duration = Duration::from_secs(30);
        let (us, start) = (discovery(&[]), Instant::now());
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
    async fn a_part_of_another_regions_answer_is_not_looked_into() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let answer = async {
            let (mut socket, _) = listener.accept().await.unwrap();
            assert!(socket.read(&mut [0; 1024]).await.unwrap() > 0);
            let cut_off = b"HTTP/1.1 200 OK\r\nX-Socrata-Region: aws-eu-1\r\nContent-Length: 100\r\n\r\n{";
            socket.write_all(cut_off).await.unwrap();
        };
        let us = discovery(&["--api-url", &url, "--retry-for", "0s"]);
        let (page, ()) = tokio::join!(us.page("", Ask { size: 9, can_shrink: true }, |_| Ok(())), answer);
        assert!(matches!(page.unwrap_err().error, ApiError::OtherRegion(_)));
    }
}
