//! Asks the API a dozen questions, at the rate of a crawl, and judges each answer.

use std::cell::RefCell;
use std::time::{Duration, Instant, SystemTime};

use catalog_shared::doctor::{Finding, Level};
use catalog_shared::region::Region;
use reqwest::Url;
use secrecy::SecretString;
use tokio::time::timeout_at;

use super::speed::{self, Stopwatch};
use super::{headers, next, rules};
use crate::api::error::{ApiError, Incomplete};
use crate::api::raw::{RawAnswer, RawClient};
use crate::config::Rate;
use crate::model::page::Page;

/// How long a request may wait for data.
const TIMEOUT: Duration = Duration::from_secs(20);
/// The number of results of a page, as text and as a number.
const LIMIT: (&str, usize) = ("10", 10);
/// Beyond every id.
const LAST_ID: &str = "zzzz-zzzz";
/// The checks after the first request.
const OTHERS: [&str; 16] = [
    "api_region_header",
    "api_clock",
    "api_empty_scroll",
    "api_limit",
    "api_exclusive_bound",
    "api_unknown_id",
    "api_end",
    "api_window",
    "api_order",
    "api_bad_limit",
    "api_unknown_domain",
    "api_unknown_parameter",
    "api_domains",
    "api_newest_first",
    "api_domain_filter",
    speed::CHECK,
];

/// A request that the API refuses.
struct Invalid {
    check: &'static str,
    /// What is wrong with it.
    what: &'static str,
    query: &'static [(&'static str, &'static str)],
    /// The statuses that are known for it.
    statuses: &'static [u16],
}

const INVALID: [Invalid; 4] = [
    Invalid {
        check: "api_window",
        what: "offset + limit above 10000",
        query: &[("offset", "9999"), ("limit", "2")],
        statuses: &[400],
    },
    Invalid {
        check: "api_order",
        what: "scroll_id with order",
        query: &[("scroll_id", ""), ("order", "name"), ("limit", "1")],
        statuses: &[400],
    },
    Invalid {
        check: "api_bad_limit",
        what: "a negative limit",
        query: &[("scroll_id", ""), ("limit", "-1")],
        statuses: &[400, 500],
    },
    Invalid {
        check: "api_unknown_domain",
        what: "an unknown domain",
        query: &[("domains", "unknown.catalog-stream.example"), ("limit", "1")],
        statuses: &[404],
    },
];

/// The API that is examined.
pub(super) struct Examined {
    pub(super) region: Region,
    pub(super) url: Url,
    pub(super) token: Option<SecretString>,
    pub(super) rate: Rate,
    /// The time for all requests and their findings.
    pub(super) limit: Duration,
}

/// Examines the API. If it does not answer at all, the rules are skipped.
///
/// # Errors
/// If there can be no client, such as for an invalid token.
pub(super) async fn examine(api: &Examined) -> anyhow::Result<Vec<Finding>> {
    // To open a client takes time, too.
    let stopwatch = RefCell::new(Stopwatch::start(api.limit));
    let client = RawClient::new(api.url.clone(), api.token.as_ref(), api.rate, TIMEOUT)?;
    let (region, has_token) = (api.region, api.token.is_some());
    let asked = Asked { client, region, url: &api.url, has_token, stopwatch };
    match asked.first().await {
        Ok((answer, page)) => asked.rest(&answer, &page).await,
        Err(unusable) => {
            let mut found = vec![unusable];
            found.extend(OTHERS.map(|check| Finding::skipped(check, "the API does not answer as it should")));
            Ok(found)
        }
    }
}

struct Asked<'a> {
    client: RawClient,
    region: Region,
    url: &'a Url,
    has_token: bool,
    stopwatch: RefCell<Stopwatch>,
}

impl Asked<'_> {
    /// The first page, with which a crawl begins.
    async fn first(&self) -> Result<(RawAnswer, Page), Finding> {
        const CHECK: &str = "api";
        let (region, url) = (self.region, self.url);
        let failed = |error: ApiError, next: String| {
            Finding::problem(CHECK, format!("{:#}", anyhow::Error::from(error)), next)
        };
        let Some(answer) = self.get("", &[("scroll_id", ""), ("limit", LIMIT.0)]).await else {
            return Err(Finding::problem(CHECK, "the API did not answer in time", next::unreachable(url)));
        };
        let answer = answer.map_err(|error| failed(error, next::unreachable(url)))?;
        if answer.status != 200 {
            let next = next::refused(answer.status, url, region, self.has_token);
            return Err(failed(self.client.refused(&answer), next));
        }
        let page = answer.page().map_err(|error| failed(error, next::record(region)))?;
        Ok((answer, page))
    }

    async fn rest(&self, answer: &RawAnswer, first: &Page) -> anyhow::Result<Vec<Finding>> {
        let region = self.region;
        let date = self.client.header(answer, "date").and_then(|date| httpdate::parse_http_date(&date).ok());
        let mut found = vec![
            Finding::ok("api", "the API answers"),
            headers::region_header(
                "api_region_header",
                self.client.header(answer, "x-socrata-region").as_deref(),
                region,
            ),
            headers::clock("api_clock", date, SystemTime::now(), self.url),
            rules::empty_scroll("api_empty_scroll", first, region),
            rules::limit("api_limit", first, LIMIT.1, region),
        ];
        found.extend(self.scroll(first).await);
        found.extend(self.refusals().await);
        found.extend(self.lists(first).await);
        found.push(self.stopwatch.borrow().judge(self.url));
        Ok(found)
    }

    /// Sends a request. None if the time is over before its answer.
    async fn get(&self, path: &str, query: &[(&str, &str)]) -> Option<Result<RawAnswer, ApiError>> {
        let (deadline, asked) = (self.stopwatch.borrow().deadline, Instant::now());
        let answer = timeout_at(deadline, self.client.get(path, query)).await;
        let mut stopwatch = self.stopwatch.borrow_mut();
        match &answer {
            Ok(Ok(answer)) => stopwatch.answered(answer.took),
            Ok(Err(_)) => {}
            Err(_) => stopwatch.end(asked.elapsed()),
        }
        answer.ok()
    }

    /// Where the scroll goes on and where it ends.
    async fn scroll(&self, first: &Page) -> Vec<Finding> {
        let ids: Vec<&str> = first.ids().collect();
        let mut found = Vec::new();
        found.push(match ids.as_slice() {
            [bound, next, ..] => self.after("api_exclusive_bound", (*bound, *next)).await,
            _ => Finding::skipped("api_exclusive_bound", "the catalog has fewer than two assets"),
        });
        found.push(match rules::gap(first) {
            Some((bound, next)) => self.after("api_unknown_id", (bound.as_str(), next)).await,
            None => Finding::skipped("api_unknown_id", "there is no free id between the first assets"),
        });
        let last = [("scroll_id", LAST_ID), ("limit", LIMIT.0)];
        found.push(self.page("api_end", &last, |page| rules::end("api_end", page, self.region)).await);
        found
    }

    async fn after(&self, check: &'static str, (bound, next): (&str, &str)) -> Finding {
        let query = [("scroll_id", bound), ("limit", "2")];
        self.page(check, &query, |page| rules::follows(check, page, (bound, next), self.region)).await
    }

    /// How the API refuses what it can't answer.
    async fn refusals(&self) -> Vec<Finding> {
        let mut found = Vec::new();
        for Invalid { check, what, query, statuses } in &INVALID {
            let judge = |answer: &RawAnswer| rules::refusal(check, answer, what, statuses, self.region);
            found.push(self.ask(check, "", query, judge).await);
        }
        let unknown = [("catalog_stream_unknown", "1"), ("limit", "1")];
        let judge =
            |answer: &RawAnswer| rules::unknown_parameter("api_unknown_parameter", answer, self.region);
        found.push(self.ask("api_unknown_parameter", "", &unknown, judge).await);
        found
    }

    /// The list of domains, the listing by date, and the assets of one domain.
    async fn lists(&self, first: &Page) -> Vec<Finding> {
        let domain = first.objects.iter().find_map(|object| object.domain.as_deref());
        let judge = |answer: &RawAnswer| rules::domains("api_domains", answer, domain, self.region);
        let mut found = vec![self.ask("api_domains", "/domains", &[], judge).await];
        let newest = [("order", "updatedAt DESC"), ("offset", "0"), ("limit", LIMIT.0)];
        let judge = |page: &Page| rules::newest_first("api_newest_first", page, self.region);
        found.push(self.page("api_newest_first", &newest, judge).await);
        if let Some(domain) = domain {
            let query = [("scroll_id", ""), ("domains", domain), ("limit", "3")];
            let judge = |page: &Page| rules::of_domain("api_domain_filter", page, domain, self.region);
            found.push(self.page("api_domain_filter", &query, judge).await);
        } else {
            found.push(Finding::skipped("api_domain_filter", "no asset of the first page names a domain"));
        }
        found
    }

    async fn page(
        &self,
        check: &'static str,
        query: &[(&str, &str)],
        judge: impl Fn(&Page) -> Finding,
    ) -> Finding {
        let judge = |answer: &RawAnswer| match rules::page(check, answer, self.region) {
            Ok(page) => judge(&page),
            Err(problem) => problem,
        };
        self.ask(check, "", query, judge).await
    }

    /// Sends one request and judges its answer. An unexpected error of the server, an answer that is incomplete or too late, or
    /// one that asks to wait says nothing about the rule.
    async fn ask(
        &self,
        check: &'static str,
        path: &str,
        query: &[(&str, &str)],
        judge: impl Fn(&RawAnswer) -> Finding,
    ) -> Finding {
        match self.get(path, query).await {
            None => Finding::skipped(check, "the time for the API is over"),
            Some(Ok(answer)) if answer.status == 429 => {
                Finding::warning(check, "the API throttles this client", next::throttled(self.region))
            }
            Some(Ok(answer)) => match judge(&answer) {
                finding if answer.status >= 500 && finding.level != Level::Ok => {
                    let next = next::refused(answer.status, self.url, self.region, self.has_token);
                    Finding::warning(check, finding.found, next)
                }
                finding => finding,
            },
            Some(Err(error)) => self.unanswered(check, error),
        }
    }

    fn unanswered(&self, check: &'static str, error: ApiError) -> Finding {
        let is_too_large = matches!(error, ApiError::Incomplete { reason: Incomplete::TooLarge(_), .. });
        let found = format!("{:#}", anyhow::Error::from(error));
        if is_too_large {
            return Finding::problem(check, found, next::record(self.region));
        }
        Finding::warning(check, found, next::again(self.region))
    }
}
