//! The HTTP client, as a crawl needs it: one request a try, to the one host, and no longer than is allowed.

use catalog_shared::exit::Stop;
use reqwest::Client;
use reqwest::header::{ACCEPT_ENCODING, HeaderMap, HeaderValue};
use reqwest::redirect::Policy;
use secrecy::ExposeSecret;

use crate::config::CrawlArgs;

/// Opens a client that sends the token with each request.
///
/// # Errors
/// [`Stop::Usage`] for a token that no header can hold; else what the system says.
pub(crate) fn open(args: &CrawlArgs) -> anyhow::Result<Client> {
    let client = Client::builder()
        // Bodies are decoded in `discover/gzip.rs`.
        .no_gzip()
        // A token must not follow to another host, nor a crawl to another region.
        .redirect(Policy::none())
        // Each try is to pass the limiter, and to be counted.
        .retry(reqwest::retry::never())
        .default_headers(default_headers(sent_token(args))?)
        .user_agent(concat!("catalog-stream/", env!("CARGO_PKG_VERSION")))
        .read_timeout(args.timeout)
        // Sooner, so that a host that can't be reached is not taken for a server that says nothing.
        .connect_timeout(args.timeout / 2);
    Ok(client.build()?)
}

/// The app token, if there is one: an empty variable sets none.
pub(crate) fn sent_token(args: &CrawlArgs) -> Option<&str> {
    args.app_token.as_ref().map(ExposeSecret::expose_secret).filter(|token| !token.is_empty())
}

fn default_headers(token: Option<&str>) -> Result<HeaderMap, Stop> {
    let mut headers = HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static("gzip"))]);
    if let Some(token) = token {
        let mut value = HeaderValue::from_str(token).map_err(|_| {
            Stop::Usage("--app-token (SOCRATA_APP_TOKEN) can't be a header's value".to_owned())
        })?;
        value.set_sensitive(true);
        headers.insert("X-App-Token", value);
    }
    Ok(headers)
}
