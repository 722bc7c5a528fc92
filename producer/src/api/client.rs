//! The HTTP client: no redirects, no hidden retries, and with timeouts.

use std::time::Duration;

use catalog_shared::exit::Stop;
use reqwest::Client;
use reqwest::header::{ACCEPT_ENCODING, HeaderMap, HeaderValue};
use reqwest::redirect::Policy;
use secrecy::{ExposeSecret, SecretString};

/// Creates a client that sends the app token with each request.
///
/// # Errors
/// [`Stop::Usage`] for a token that is not a valid header value, otherwise the cause of the failure.
pub(crate) fn open(token: Option<&SecretString>, timeout: Duration) -> anyhow::Result<Client> {
    let client = Client::builder()
        // Bodies are decoded in `api/gzip.rs`.
        .no_gzip()
        // The token must not be sent to another host, and another region must not be crawled.
        .redirect(Policy::none())
        // Each attempt must pass the rate limiter and be counted.
        .retry(reqwest::retry::never())
        .default_headers(default_headers(sent_token(token))?)
        .user_agent(concat!("catalog-stream/", env!("CARGO_PKG_VERSION")))
        .read_timeout(timeout)
        // Shorter, so that an unreachable host is distinguished from a silent server.
        .connect_timeout(timeout / 2);
    Ok(client.build()?)
}

/// The app token, if set. An empty variable does not set one.
pub(crate) fn sent_token(token: Option<&SecretString>) -> Option<&str> {
    token.map(ExposeSecret::expose_secret).filter(|token| !token.is_empty())
}

fn default_headers(token: Option<&str>) -> Result<HeaderMap, Stop> {
    let mut headers = HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static("gzip"))]);
    if let Some(token) = token {
        let mut value = HeaderValue::from_str(token).map_err(|_| {
            Stop::Usage("--app-token (SOCRATA_APP_TOKEN) is not a valid header value".to_owned())
        })?;
        value.set_sensitive(true);
        headers.insert("X-App-Token", value);
    }
    Ok(headers)
}
