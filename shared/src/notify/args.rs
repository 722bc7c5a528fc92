//! The flags of the webhook.

use anyhow::bail;
use clap::Args;
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};

use super::webhook::Webhook;
use crate::stop::Stop;

/// The flags of the webhook.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Notifications")]
pub struct NotifyArgs {
    /// Send failed runs to this URL, as a POST of a JSON object; a consumer also sends runs that are on hold or missing
    /// [default: off]
    #[arg(long, env = "CATALOG_NOTIFY_URL", hide_env_values = true, value_name = "URL")]
    pub notify_url: Option<SecretString>,

    /// A secret that is sent with it, in the header `Authorization: Bearer SECRET`
    #[arg(long, env = "CATALOG_NOTIFY_SECRET", hide_env_values = true, value_name = "SECRET")]
    pub notify_secret: Option<SecretString>,
}

impl NotifyArgs {
    /// Whether there is a webhook.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.url().is_some()
    }

    /// The URL. An empty variable means no URL, because services often set variables that their users left empty.
    fn url(&self) -> Option<&str> {
        self.notify_url.as_ref().map(ExposeSecret::expose_secret).filter(|url| !url.is_empty())
    }

    /// The webhook; `None` without `--notify-url`. Clap does not parse the URL, because its error would quote it.
    ///
    /// # Errors
    /// [`Stop::Usage`] for anything but an http(s) URL, for a secret that can't be in a header, and for a secret beside a login in the
    /// URL. None of them quotes these.
    pub fn webhook(&self) -> anyhow::Result<Option<Webhook>> {
        let Some(url) = self.url() else { return Ok(None) };
        let url = Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let refused = || Stop::Usage("--notify-url (CATALOG_NOTIFY_URL) must be an http(s) URL".to_owned());
        let url = url.ok_or_else(refused)?;
        let secret = self.notify_secret.as_ref().filter(|secret| !secret.expose_secret().is_empty());
        if secret.is_some() && (!url.username().is_empty() || url.password().is_some()) {
            let both = "--notify-url contains a login, which is sent in the header of --notify-secret: remove one of them";
            bail!(Stop::Usage(both.to_owned()));
        }
        Webhook::new(url, secret).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn webhook(url: &str, secret: Option<&str>) -> anyhow::Result<Option<Webhook>> {
        let text = |text: &str| SecretString::from(text.to_owned());
        NotifyArgs { notify_url: Some(text(url)), notify_secret: secret.map(text) }.webhook()
    }

    #[test]
    fn a_refusal_quotes_neither_the_url_nor_the_secret() {
        assert!(webhook("https://hooks.example/hunter2", Some("hunter2")).unwrap().is_some());
        assert!(webhook("", None).unwrap().is_none());
        for (url, secret) in [
            ("ftp://hunter2.example/", None),
            ("hunter2", None),
            ("http://hunter2:x:y/", None),
            ("http://h.example/", Some("hunter2\n")),
            ("http://user:hunter2@h.example/", Some("secret")),
        ] {
            let error = webhook(url, secret).err().unwrap();
            assert!(error.is::<Stop>() && !format!("{error:#} {error:?}").contains("hunter2"), "{error:#}");
        }
    }
}
