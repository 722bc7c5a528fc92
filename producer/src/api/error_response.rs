//! An answer with another status than 200: who sent it, what it says, and whether it asks for another try.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderValue, LOCATION};
use reqwest::{StatusCode, Url};
use serde::Deserialize;
use serde_json::Value;

use crate::api::body;
use crate::api::error::{ApiError, Sender, Worth, excerpt};
use crate::api::redact::Redactor;
use crate::api::retry_after;

/// How much of a refusal is read, in bytes.
pub(crate) const BYTES: u64 = 64 * 1024;

/// The request that was refused.
pub(crate) struct Request<'a> {
    pub(crate) url: &'a Url,
    /// Whether it carried an app token.
    pub(crate) sent_token: bool,
    /// Whether this process has had a usable answer from the same path before.
    pub(crate) path_worked: bool,
    pub(crate) redactor: &'a Redactor,
}

/// The paths that have given a usable answer. A gateway that refuses one of them does so for a while only.
#[derive(Default)]
pub(crate) struct WorkingPaths(Mutex<BTreeSet<String>>);

impl WorkingPaths {
    pub(crate) fn insert(&self, path: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned());
    }

    pub(crate) fn contains(&self, path: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(path)
    }
}

/// Reads a refusal. Its body must be without secrets already.
pub(crate) fn read(status: StatusCode, headers: &HeaderMap, body: &[u8], request: &Request<'_>) -> ApiError {
    let body = body::without_mark(body);
    let own = own_words(body);
    let documented = own.is_some() || (status == StatusCode::TOO_MANY_REQUESTS && body.is_empty());
    let sender = if documented { Sender::Api } else { Sender::Gateway };
    // What isn't the API's may be anything, over many lines.
    let quoted = || if body.is_empty() { String::new() } else { format!("{:?}", excerpt(body)) };
    let mut message = own.unwrap_or_else(quoted);
    if let Some(location) = headers.get(LOCATION).filter(|_| status.is_redirection()) {
        message = redirect(location, request);
    } else if sender == Sender::Api {
        message.push_str(about_token(status, request.sent_token));
    }
    let retry_after = retry_after::read(headers, SystemTime::now());
    let worth = worth(status.as_u16(), sender, retry_after.is_some(), request.path_worked);
    ApiError::Status { status: status.as_u16(), sender, message, retry_after, worth }
}

/// What the API says in one of its two forms: `{"error": "text"}` of the search service, and
/// `{"code": "…", "error": true, "message": "…"}` of the servers in front of it.
fn own_words(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Refusal {
        error: Value,
        code: Option<String>,
        message: Option<String>,
    }
    let refusal: Refusal = serde_json::from_slice(body).ok()?;
    match refusal.error {
        Value::String(text) => Some(text),
        Value::Bool(_) => {
            Some([refusal.code, refusal.message].into_iter().flatten().collect::<Vec<_>>().join(": "))
        }
        _ => None,
    }
}

fn about_token(status: StatusCode, sent_token: bool) -> &'static str {
    match (status, sent_token) {
        (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, true) => {
            " (an app token was sent, and a wrong one is refused where a request without a token works: check \
             SOCRATA_APP_TOKEN or leave it out)"
        }
        (StatusCode::UNAUTHORIZED, false) => " (no app token was sent: SOCRATA_APP_TOKEN sets one)",
        _ => "",
    }
}

/// Where a redirect leads, without what may be a secret there, in the form that `--api-url` takes.
fn redirect(location: &HeaderValue, request: &Request<'_>) -> String {
    const ADVICE: &str = "Redirects are not followed; if the catalog has moved there, name it with --api-url";
    let location = request.redactor.hide(Bytes::copy_from_slice(location.as_bytes()));
    let target = std::str::from_utf8(&location).ok().and_then(|text| request.url.join(text).ok());
    let Some(mut target) = target else {
        return format!("it redirects, and where to can't be read. {ADVICE}");
    };
    // Both fail only for URLs that have no host and so can't have either.
    let _ = (target.set_username(""), target.set_password(None));
    target.set_query(None);
    target.set_fragment(None);
    let target = target.as_str().trim_end_matches('/');
    let asked_for_domains = request.url.path().ends_with("/domains");
    let catalog = target.strip_suffix("/domains").filter(|_| asked_for_domains).unwrap_or(target);
    format!("it redirects to {catalog}. {ADVICE}")
}

/// Whether the same request may fare better later.
///
/// - 408, 425, 429 and 5xx say so themselves (RFC 9110, 15.5.9 and 15.6; RFC 8470, 5.2; RFC 6585, 4), and any
///   other 4xx does if it names a time (`Retry-After`).
/// - 421 came over a connection to the wrong server (RFC 9110, 15.5.20): a few tries may find another.
/// - A gateway's 401, 403, 404, 405 and 406 are what firewalls and load balancers send while they block a client
///   or have no server, and its 302, 303 and 307 lead to a page about that. Where the path has worked before that
///   passes.
const fn worth(status: u16, sender: Sender, names_time: bool, path_worked: bool) -> Worth {
    let passes = path_worked && matches!(sender, Sender::Gateway);
    match status {
        408 | 425 | 429 | 500.. => Worth::Budget,
        400..500 if names_time => Worth::Budget,
        302 | 303 | 307 | 401 | 403..=406 if passes => Worth::Budget,
        421 => Worth::FewTries,
        _ => Worth::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use reqwest::header::RETRY_AFTER;
    use secrecy::SecretString;

    use super::*;

    const HTML: &str = "<html><h1>Access denied</h1></html>";
    const EDGE: &str = r#"{"code":"permission_denied","error":true,"message":"Invalid app_token"}"#;

    struct Refused {
        path: &'static str,
        sent_token: bool,
        path_worked: bool,
        header: Option<(reqwest::header::HeaderName, &'static str)>,
    }

    impl Default for Refused {
        fn default() -> Self {
            Self { path: "/v1", sent_token: false, path_worked: false, header: None }
        }
    }

    impl Refused {
        fn with(self, status: u16, body: &str) -> ApiError {
            let url = Url::parse("https://h.example").unwrap().join(self.path).unwrap();
            let redactor = Redactor::new(Some(&SecretString::from("abcdefghijklm")));
            let (sent_token, path_worked) = (self.sent_token, self.path_worked);
            let request = Request { url: &url, sent_token, path_worked, redactor: &redactor };
            let headers = self.header.map(|(name, value)| (name, value.parse().unwrap()));
            let headers = HeaderMap::from_iter(headers);
            read(StatusCode::from_u16(status).unwrap(), &headers, body.as_bytes(), &request)
        }
    }

    fn worths(path_worked: bool, body: &str, statuses: impl IntoIterator<Item = u16>) -> Vec<Worth> {
        let worth = |status| Refused { path_worked, ..Refused::default() }.with(status, body).worth();
        statuses.into_iter().map(worth).collect()
    }

    #[test]
    fn statuses_that_ask_for_another_try_get_it() {
        for body in ["", HTML, EDGE] {
            let asking = [408, 425, 429, 500, 502, 503, 504, 521];
            assert!(worths(false, body, asking).iter().all(|worth| *worth == Worth::Budget), "{body}");
            assert_eq!(worths(false, body, [421]), [Worth::FewTries]);
        }
        let when = Some((RETRY_AFTER, "5"));
        for status in [403, 409, 413] {
            let worth = Refused { header: when.clone(), ..Refused::default() }.with(status, EDGE).worth();
            assert_eq!(worth, Worth::Budget, "{status}");
        }
    }

    #[test]
    fn a_gateways_refusal_passes_where_the_path_has_worked() {
        let refusals = [302, 303, 307, 401, 403, 404, 405, 406];
        let all = |worths: Vec<Worth>, expected| worths.iter().all(|worth| *worth == expected);
        assert!(all(worths(true, HTML, refusals), Worth::Budget));
        assert!(all(worths(true, r#"{"message":"Forbidden"}"#, refusals), Worth::Budget));
        assert!(all(worths(false, HTML, refusals), Worth::Nothing));
        for own in [EDGE, r#"{"error":"Domain not found: x"}"#] {
            assert!(all(worths(true, own, refusals), Worth::Nothing));
        }
        assert!(all(worths(true, HTML, [301, 308, 400, 410, 414]), Worth::Nothing));
    }

    #[test]
    fn a_message_names_who_answered_and_reads_both_forms() {
        let told = |body| Refused::default().with(403, body).to_string();
        assert_eq!(told(HTML), format!("a gateway answered 403: {HTML:?}"));
        assert_eq!(told(EDGE), "the API answered 403: permission_denied: Invalid app_token");
        assert_eq!(
            told("\u{feff}{\"error\":\"Domain not found: x\"}"),
            "the API answered 403: Domain not found: x"
        );
        assert_eq!(Refused::default().with(429, "").to_string(), "the API answered 429");
    }

    #[test]
    fn only_a_token_that_was_sent_can_be_wrong() {
        let told =
            |status, sent_token| Refused { sent_token, ..Refused::default() }.with(status, EDGE).to_string();
        assert!(!told(403, false).contains("SOCRATA_APP_TOKEN"));
        assert!(told(403, true).contains("check SOCRATA_APP_TOKEN"));
        assert!(told(401, false).contains("no app token was sent"));
        assert!(!told(404, true).contains("SOCRATA_APP_TOKEN"));
    }

    #[test]
    fn a_redirect_names_its_target_without_secrets() {
        let told = |path, target| {
            let header = Some((LOCATION, target));
            Refused { path, header, ..Refused::default() }.with(301, HTML).to_string()
        };
        let leads = |told: String, target| told.contains(&format!("it redirects to {target}. "));
        assert!(leads(told("/v1", "http://new.example/v2/?a=1#b"), "http://new.example/v2"));
        assert!(leads(told("/v1/domains", "/v2/domains"), "https://h.example/v2"));
        assert!(leads(told("/v1", "/v2/domains"), "https://h.example/v2/domains"));
        assert!(told("/v1", "/v2").contains("--api-url"));
        let secret = told("/v1", "https://me:hunter2@h.example/abcdefghijklm?token=hunter2#hunter2");
        assert!(leads(secret.clone(), "https://h.example/***") && !secret.contains("hunter2"), "{secret}");
        let unreadable = told("/v1", "https://[hunter2");
        assert!(unreadable.contains("can't be read") && !unreadable.contains("hunter2"), "{unreadable}");
    }
}
