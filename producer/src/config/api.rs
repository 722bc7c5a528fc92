//! The flags of the API.

use catalog_shared::exit::Stop;
use catalog_shared::region::Region;
use clap::Args;
use reqwest::Url;
use secrecy::SecretString;

use crate::config::rate_limit::RateLimit;

/// Which API to ask, and how.
#[derive(Args, Debug)]
pub struct ApiArgs {
    /// The region of the Discovery API
    #[arg(long, env = "CATALOG_REGION", value_enum, ignore_case = true)]
    pub region: Region,

    /// Requests per second (of a crawl: over all lanes), 0.001 to 1000000, or `none` for no limit
    #[arg(long, env = "CATALOG_RATE", default_value = "2")]
    pub rate: RateLimit,

    /// The catalog's URL, for tests and mirrors [default: that of the region]
    #[arg(long, env = "CATALOG_API_URL", hide_env_values = true, value_name = "URL")]
    pub api_url: Option<String>,

    /// A Socrata app token; requests with one are not throttled together with anonymous clients
    #[arg(long, env = "SOCRATA_APP_TOKEN", hide_env_values = true)]
    pub app_token: Option<SecretString>,
}

impl ApiArgs {
    /// The catalog's URL.
    ///
    /// # Errors
    /// Same as [`plain_url`].
    pub(crate) fn url(&self) -> Result<Url, Stop> {
        plain_url(self.api_url.as_deref().unwrap_or_else(|| self.region.api_url()))
    }
}

/// Parses the catalog's URL. Clap does not parse it, because its error would quote it.
///
/// # Errors
/// [`Stop::Usage`] for anything but a plain http(s) URL. User and password are refused because the URL is one of the
/// run's parameters, which are written to topics and tables.
fn plain_url(text: &str) -> Result<Url, Stop> {
    let refused = || {
        Stop::Usage(
            "--api-url (CATALOG_API_URL) must be http(s)://HOST/PATH without anything else".to_owned(),
        )
    };
    let url = Url::parse(text.trim_end_matches('/')).map_err(|_| refused())?;
    let plain = matches!(url.scheme(), "http" | "https")
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    plain.then_some(url).ok_or_else(refused)
}
