//! The request to the webhook.

use std::fmt;
use std::time::Duration;

use anyhow::{Context, ensure};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use crate::stop::Stop;

/// How long a request may take. Shorter than the time after which a notification is sent again.
const WEBHOOK_TIMEOUT: Duration = Duration::from_secs(10);

/// A webhook. Its URL may contain a secret, so only its host may be shown.
pub struct Webhook {
    client: Client,
    url: Url,
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook").field("host", &self.host()).finish_non_exhaustive()
    }
}

impl Webhook {
    /// The webhook at this URL.
    ///
    /// # Errors
    /// [`Stop::Usage`] for a secret that can't be in a header, or if the client can't be created.
    pub(super) fn new(url: Url, secret: Option<&SecretString>) -> anyhow::Result<Self> {
        let mut headers =
            HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        if let Some(secret) = secret {
            headers.insert(AUTHORIZATION, bearer(secret)?);
        }
        let client = Client::builder()
            // The secret must not be sent to another host.
            .redirect(Policy::none())
            // The caller repeats requests.
            .retry(reqwest::retry::never())
            // The debug lines of HTTP/2 contain paths.
            .http1_only()
            .default_headers(headers)
            .user_agent(concat!("catalog-stream/", env!("CARGO_PKG_VERSION")))
            .timeout(WEBHOOK_TIMEOUT);
        Ok(Self { client: client.build().context("can't create the client of --notify-url")?, url })
    }

    /// The host, which is not secret.
    #[must_use]
    pub fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    /// Sends a notification.
    ///
    /// # Errors
    /// If the receiver does not answer in time or answers with another status than 2xx. The error contains neither the URL
    /// nor the answer.
    pub async fn send(&self, body: &Value) -> anyhow::Result<()> {
        let request = self.client.post(self.url.clone()).body(body.to_string());
        let answer = request.send().await.map_err(reqwest::Error::without_url)?;
        ensure!(answer.status().is_success(), "the receiver answered {}", answer.status());
        Ok(())
    }
}

fn bearer(secret: &SecretString) -> Result<HeaderValue, Stop> {
    let mut value = HeaderValue::from_str(&format!("Bearer {}", secret.expose_secret())).map_err(|_| {
        Stop::Usage(
            "--notify-secret (CATALOG_NOTIFY_SECRET) contains a character that no header may contain"
                .to_owned(),
        )
    })?;
    value.set_sensitive(true);
    Ok(value)
}
