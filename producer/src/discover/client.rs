//! The HTTP client, as a crawl needs it: one request a try, to the one host, and no longer than is allowed.

use catalog_shared::exit::Stop;
use reqwest::Client;
use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::redirect::Policy;
use secrecy::{ExposeSecret, SecretString};

use crate::cli::CrawlArgs;

/// Opens a client that sends the token with each request.
///
/// # Errors
/// [`Stop::Usage`] for a token that no header can hold; else what the system says.
pub(crate) fn open(args: &CrawlArgs) -> anyhow::Result<Client> {
    let client = Client::builder()
        // A token must not follow to another host, nor a crawl to another region.
        .redirect(Policy::none())
        // Each try is to pass the limiter, and to be counted.
        .retry(reqwest::retry::never())
        .default_headers(token_header(args.app_token.as_ref())?)
        .user_agent(concat!("catalog-stream/", env!("CARGO_PKG_VERSION")))
        .read_timeout(args.timeout)
        // Sooner, so that a host that can't be reached is not taken for a server that says nothing.
        .connect_timeout(args.timeout / 2);
    Ok(client.build()?)
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
