//! Asks the API a dozen questions, at the rate of a crawl, and judges each answer.

use std::cell::RefCell;
use std::time::{Duration, Instant, SystemTime};

use catalog_shared::doctor::{Finding, Level};
use catalog_shared::region::Region;
use reqwest::Url;
use secrecy::SecretString;
use tokio::time::timeout_at;

use super::rules::{self, Rule};
use super::speed::Stopwatch;
use super::{checks, headers, next};
use crate::api::client::sent_token;
use crate::api::error::{ApiError, Incomplete};
use crate::api::raw::{RawAnswer, RawClient};
use crate::config::RateLimit;
use crate::model::page::Page;

/// How long a request may wait for data.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);
/// The number of results of a page, and the same as a parameter.
const SAMPLE_PAGE_SIZE: usize = 10;
const SAMPLE_LIMIT: &str = "10";
/// Beyond every id.
const LAST_ID: &str = "zzzz-zzzz";
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
        check: checks::WINDOW,
        what: "offset + limit above 10000",
        query: &[("offset", "9999"), ("limit", "2")],
        statuses: &[400],
    },
    Invalid {
        check: checks::ORDER,
        what: "scroll_id with order",
        query: &[("scroll_id", ""), ("order", "name"), ("limit", "1")],
        statuses: &[400],
    },
    Invalid {
        check: checks::BAD_LIMIT,
        what: "a negative limit",
        query: &[("scroll_id", ""), ("limit", "-1")],
        statuses: &[400, 500],
    },
    Invalid {
        check: checks::UNKNOWN_DOMAIN,
        what: "an unknown domain",
        query: &[("domains", "unknown.catalog-stream.example"), ("limit", "1")],
        statuses: &[404],
    },
];

/// The API that is examined.
pub(super) struct ApiTarget {
    pub(super) region: Region,
    pub(super) url: Url,
    pub(super) token: Option<SecretString>,
    pub(super) rate: RateLimit,
    /// The time for all requests and their findings.
    pub(super) limit: Duration,
}

/// Examines the API. If it does not answer at all, the rules are skipped.
///
/// # Errors
/// If there can be no client, such as for an invalid token.
pub(super) async fn examine(api: &ApiTarget) -> anyhow::Result<Vec<Finding>> {
    // To open a client takes time, too.
    let stopwatch = RefCell::new(Stopwatch::start(api.limit));
    let client = RawClient::new(api.url.clone(), api.token.as_ref(), api.rate, REQUEST_TIMEOUT)?;
    let (region, has_token) = (api.region, sent_token(api.token.as_ref()).is_some());
    let probe = ApiProbe { client, region, url: &api.url, has_token, stopwatch };
    match probe.first().await {
        Ok((answer, page)) => probe.rest(&answer, &page).await,
        Err(unusable) => {
            let mut found = vec![unusable];
            found.extend(
                checks::AFTER_FIRST
                    .map(|check| Finding::skipped(check, "the API does not answer as it should")),
            );
            Ok(found)
        }
    }
}

/// Sends the requests.
struct ApiProbe<'a> {
    client: RawClient,
    region: Region,
    url: &'a Url,
    has_token: bool,
    stopwatch: RefCell<Stopwatch>,
}

impl ApiProbe<'_> {
    const fn rule(&self, check: &'static str) -> Rule {
        Rule { check, region: self.region }
    }

    /// The first page, with which a crawl begins.
    async fn first(&self) -> Result<(RawAnswer, Page), Finding> {
        let (region, url) = (self.region, self.url);
        let failed = |error: ApiError, next: String| {
            Finding::problem(checks::API, format!("{:#}", anyhow::Error::from(error)), next)
        };
        let Some(answer) = self.get("", &[("scroll_id", ""), ("limit", SAMPLE_LIMIT)]).await else {
            return Err(Finding::problem(
                checks::API,
                "the API did not answer in time",
                next::unreachable(url),
            ));
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
        let date = self.client.header(answer, "date").and_then(|date| httpdate::parse_http_date(&date).ok());
        let mut found = vec![
            Finding::ok(checks::API, "the API answers"),
            headers::region_header(
                self.rule(checks::REGION_HEADER),
                self.client.header(answer, "x-socrata-region").as_deref(),
            ),
            headers::clock(checks::CLOCK, date, SystemTime::now(), self.url),
            self.rule(checks::EMPTY_SCROLL).empty_scroll(first),
            self.rule(checks::LIMIT).limit(first, SAMPLE_PAGE_SIZE),
        ];
        found.extend(self.scroll(first).await);
        found.extend(self.refusals().await);
        found.extend(self.lists(first).await);
        found.push(self.stopwatch.borrow().judge(self.url));
        Ok(found)
    }

    /// Sends a request. `None` if the time is over before its answer.
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
            [bound, next, ..] => self.after(checks::EXCLUSIVE_BOUND, (*bound, *next)).await,
            _ => Finding::skipped(checks::EXCLUSIVE_BOUND, "the catalog has fewer than two assets"),
        });
        found.push(match rules::gap(first) {
            Some((bound, next)) => self.after(checks::UNKNOWN_ID, (bound.as_str(), next)).await,
            None => Finding::skipped(checks::UNKNOWN_ID, "there is no free id between the first assets"),
        });
        let last = [("scroll_id", LAST_ID), ("limit", SAMPLE_LIMIT)];
        found.push(self.page(checks::END, &last, |page| self.rule(checks::END).end(page)).await);
        found
    }

    async fn after(&self, check: &'static str, (bound, next): (&str, &str)) -> Finding {
        let query = [("scroll_id", bound), ("limit", "2")];
        self.page(check, &query, |page| self.rule(check).follows(page, (bound, next))).await
    }

    /// How the API refuses what it can't answer.
    async fn refusals(&self) -> Vec<Finding> {
        let mut found = Vec::new();
        for Invalid { check, what, query, statuses } in &INVALID {
            let judge = |answer: &RawAnswer| self.rule(check).refusal(answer, what, statuses);
            found.push(self.ask(check, "", query, judge).await);
        }
        let unknown = [("catalog_stream_unknown", "1"), ("limit", "1")];
        let judge = |answer: &RawAnswer| self.rule(checks::UNKNOWN_PARAMETER).unknown_parameter(answer);
        found.push(self.ask(checks::UNKNOWN_PARAMETER, "", &unknown, judge).await);
        found
    }

    /// The list of domains, the listing by date, and the assets of one domain.
    async fn lists(&self, first: &Page) -> Vec<Finding> {
        let domain = first.objects.iter().find_map(|object| object.domain.as_deref());
        let judge = |answer: &RawAnswer| self.rule(checks::DOMAINS).domains(answer, domain);
        let mut found = vec![self.ask(checks::DOMAINS, "/domains", &[], judge).await];
        let newest = [("order", "updatedAt DESC"), ("offset", "0"), ("limit", SAMPLE_LIMIT)];
        let judge = |page: &Page| self.rule(checks::NEWEST_FIRST).newest_first(page);
        found.push(self.page(checks::NEWEST_FIRST, &newest, judge).await);
        if let Some(domain) = domain {
            let query = [("scroll_id", ""), ("domains", domain), ("limit", "3")];
            let judge = |page: &Page| self.rule(checks::DOMAIN_FILTER).of_domain(page, domain);
            found.push(self.page(checks::DOMAIN_FILTER, &query, judge).await);
        } else {
            found.push(Finding::skipped(checks::DOMAIN_FILTER, "no asset of the first page names a domain"));
        }
        found
    }

    async fn page(
        &self,
        check: &'static str,
        query: &[(&str, &str)],
        judge: impl Fn(&Page) -> Finding,
    ) -> Finding {
        let judge = |answer: &RawAnswer| match self.rule(check).page(answer) {
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
