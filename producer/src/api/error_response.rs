//! Answers with a status other than 200: who sent them, their message, and whether a retry may help.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderValue, LOCATION};
use reqwest::{StatusCode, Url};
use serde::Deserialize;
use serde_json::Value;

use crate::api::byte_order_mark::without_bom;
use crate::api::error::{ApiError, Retries, Sender, excerpt};
use crate::api::redact::Redactor;
use crate::api::retry_after;

/// How much of such an answer is read, in bytes.
pub(crate) const BYTES: u64 = 64 * 1024;

/// The request that failed.
pub(crate) struct Request<'a> {
    pub(crate) url: &'a Url,
    /// Whether it carried an app token.
    pub(crate) sent_token: bool,
    /// Whether this process has received a usable answer from the same path before.
    pub(crate) path_worked: bool,
    pub(crate) redactor: &'a Redactor,
}

/// The paths that have returned a usable answer. If a gateway refuses one of them, the refusal is temporary.
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

/// Reads an answer. Its body must already be redacted.
pub(crate) fn read(status: StatusCode, headers: &HeaderMap, body: &[u8], request: &Request<'_>) -> ApiError {
    let body = without_bom(body);
    let api_message = api_message(body);
    let documented = api_message.is_some() || (status == StatusCode::TOO_MANY_REQUESTS && body.is_empty());
    let sender = if documented { Sender::Api } else { Sender::Gateway };
    // Other answers may contain anything, even many lines.
    let quoted = || if body.is_empty() { String::new() } else { format!("{:?}", excerpt(body)) };
    let mut message = api_message.unwrap_or_else(quoted);
    if let Some(location) = headers.get(LOCATION).filter(|_| status.is_redirection()) {
        message = describe_redirect(location, request);
    } else if sender == Sender::Api {
        message.push_str(token_hint(status, request.sent_token));
    }
    let retry_after = retry_after::read(headers, SystemTime::now());
    let retry = retries(status.as_u16(), sender, retry_after.is_some(), request.path_worked);
    ApiError::Status { status: status.as_u16(), sender, message, retry_after, retry }
}

/// The message of the API in one of its two forms: `{"error": "text"}` of the search service, and
/// `{"code": "…", "error": true, "message": "…"}` of the servers in front of it.
pub(crate) fn api_message(body: &[u8]) -> Option<String> {
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

fn token_hint(status: StatusCode, sent_token: bool) -> &'static str {
    match (status, sent_token) {
        (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, true) => {
            " (an app token was sent, and an invalid token is refused although requests without a token work: check \
             SOCRATA_APP_TOKEN or unset it)"
        }
        (StatusCode::UNAUTHORIZED, false) => " (no app token was sent: SOCRATA_APP_TOKEN sets one)",
        _ => "",
    }
}

/// Describes the target of a redirect without possible secrets, in the form that `--api-url` accepts.
fn describe_redirect(location: &HeaderValue, request: &Request<'_>) -> String {
    const ADVICE: &str = "Redirects are not followed; if the catalog has moved, set --api-url";
    let location = request.redactor.redact(Bytes::copy_from_slice(location.as_bytes()));
    let target = std::str::from_utf8(&location).ok().and_then(|text| request.url.join(text).ok());
    let Some(mut target) = target else {
        return format!("redirect to an unreadable URL. {ADVICE}");
    };
    // These fail only for URLs without a host, which can have neither.
    let _ = (target.set_username(""), target.set_password(None));
    target.set_query(None);
    target.set_fragment(None);
    let target = target.as_str().trim_end_matches('/');
    let is_domains = request.url.path().ends_with("/domains");
    let catalog = target.strip_suffix("/domains").filter(|_| is_domains).unwrap_or(target);
    format!("redirect to {catalog}. {ADVICE}")
}

/// Whether a retry of the same request may succeed.
///
/// - 408, 425, 429 and 5xx are temporary by definition (RFC 9110, 15.5.9 and 15.6; RFC 8470, 5.2; RFC 6585, 4), and so is
///   any other 4xx with a `Retry-After`.
/// - 421 means a connection to the wrong server (RFC 9110, 15.5.20): a few retries may reach another one.
/// - Firewalls and load balancers send 401, 403, 404, 405 and 406 while they block a client or have no server, and redirect
///   with 302, 303 and 307 to a page about that. If the path has worked before, that is temporary.
const fn retries(status: u16, sender: Sender, has_retry_after: bool, path_worked: bool) -> Retries {
    let is_temporary = path_worked && matches!(sender, Sender::Gateway);
    match status {
        408 | 425 | 429 | 500.. => Retries::UntilBudget,
        400..500 if has_retry_after => Retries::UntilBudget,
        302 | 303 | 307 | 401 | 403..=406 if is_temporary => Retries::UntilBudget,
        421 => Retries::Few,
        _ => Retries::None,
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

    fn all_retries(path_worked: bool, body: &str, statuses: impl IntoIterator<Item = u16>) -> Vec<Retries> {
        let retries = |status| Refused { path_worked, ..Refused::default() }.with(status, body).retries();
        statuses.into_iter().map(retries).collect()
    }

    #[test]
    fn temporary_statuses_are_retried() {
        for body in ["", HTML, EDGE] {
            let temporary = [408, 425, 429, 500, 502, 503, 504, 521];
            assert!(
                all_retries(false, body, temporary).iter().all(|retries| *retries == Retries::UntilBudget),
                "{body}"
            );
            assert_eq!(all_retries(false, body, [421]), [Retries::Few]);
        }
        let when = Some((RETRY_AFTER, "5"));
        for status in [403, 409, 413] {
            let retries = Refused { header: when.clone(), ..Refused::default() }.with(status, EDGE).retries();
            assert_eq!(retries, Retries::UntilBudget, "{status}");
        }
    }

    #[test]
    fn a_gateways_refusal_is_temporary_if_the_path_has_worked() {
        let refusals = [302, 303, 307, 401, 403, 404, 405, 406];
        let all = |retries: Vec<Retries>, expected| retries.iter().all(|retries| *retries == expected);
        assert!(all(all_retries(true, HTML, refusals), Retries::UntilBudget));
        assert!(all(all_retries(true, r#"{"message":"Forbidden"}"#, refusals), Retries::UntilBudget));
        assert!(all(all_retries(false, HTML, refusals), Retries::None));
        for own in [EDGE, r#"{"error":"Domain not found: x"}"#] {
            assert!(all(all_retries(true, own, refusals), Retries::None));
        }
        assert!(all(all_retries(true, HTML, [301, 308, 400, 410, 414]), Retries::None));
    }

    #[test]
    fn a_message_names_the_sender_and_includes_both_forms() {
        let message = |body| Refused::default().with(403, body).to_string();
        assert_eq!(message(HTML), format!("a gateway answered 403: {HTML:?}"));
        assert_eq!(message(EDGE), "the API answered 403: permission_denied: Invalid app_token");
        assert_eq!(
            message("\u{feff}{\"error\":\"Domain not found: x\"}"),
            "the API answered 403: Domain not found: x"
        );
        assert_eq!(Refused::default().with(429, "").to_string(), "the API answered 429");
    }

    #[test]
    fn an_invalid_token_is_suspected_only_if_one_was_sent() {
        let message =
            |status, sent_token| Refused { sent_token, ..Refused::default() }.with(status, EDGE).to_string();
        assert!(!message(403, false).contains("SOCRATA_APP_TOKEN"));
        assert!(message(403, true).contains("check SOCRATA_APP_TOKEN"));
        assert!(message(401, false).contains("no app token was sent"));
        assert!(!message(404, true).contains("SOCRATA_APP_TOKEN"));
    }

    #[test]
    fn a_redirect_is_described_without_secrets() {
        let message = |path, target| {
            let header = Some((LOCATION, target));
            Refused { path, header, ..Refused::default() }.with(301, HTML).to_string()
        };
        let leads = |message: String, target| message.contains(&format!("redirect to {target}. "));
        assert!(leads(message("/v1", "http://new.example/v2/?a=1#b"), "http://new.example/v2"));
        assert!(leads(message("/v1/domains", "/v2/domains"), "https://h.example/v2"));
        assert!(leads(message("/v1", "/v2/domains"), "https://h.example/v2/domains"));
        assert!(message("/v1", "/v2").contains("--api-url"));
        let secret = message("/v1", "https://me:hunter2@h.example/abcdefghijklm?token=hunter2#hunter2");
        assert!(leads(secret.clone(), "https://h.example/***") && !secret.contains("hunter2"), "{secret}");
        let unreadable = message("/v1", "https://[hunter2");
        assert!(unreadable.contains("unreadable URL") && !unreadable.contains("hunter2"), "{unreadable}");
    }
}
