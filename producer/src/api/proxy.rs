//! Checks the proxy in the environment variables before any request, because the HTTP client silently ignores an
//! unusable one.

use std::env::{self, VarError};

use catalog_shared::events;
use catalog_shared::exit::Stop;
use hyper_util::client::proxy::matcher::Matcher;
use reqwest::Url;
use tokio::net::lookup_host;

/// The proxy of the requests.
#[derive(Debug, PartialEq, Eq)]
struct Proxy {
    /// The variable that sets it.
    variable: &'static str,
    host: String,
    port: u16,
}

/// Logs the proxy of requests to `url`, if there is one, and warns if its host can't be resolved.
///
/// # Errors
/// [`Stop::Usage`] for a variable with an unusable proxy. Its value is not quoted, because it may contain a password.
pub(crate) async fn check(url: &Url) -> Result<(), Stop> {
    let Some(Proxy { variable, host, port }) = find(url, |name| env::var(name))? else { return Ok(()) };
    match lookup_host((host.as_str(), port)).await {
        Ok(_) => {
            tracing::info!(event = events::PROXY_USED, variable, host, port, "using a proxy for the API")
        }
        Err(error) => {
            tracing::warn!(event = events::PROXY_UNRESOLVED, variable, host, port, %error, "the proxy's host can't be resolved")
        }
    }
    Ok(())
}

/// The proxy for a URL, from the variables in the order in which the HTTP client reads them.
fn find(url: &Url, variable: impl Fn(&str) -> Result<String, VarError>) -> Result<Option<Proxy>, Stop> {
    let own =
        if url.scheme() == "https" { ["HTTPS_PROXY", "https_proxy"] } else { ["HTTP_PROXY", "http_proxy"] };
    // In a CGI program, where a request could set the variable, the client uses no proxy from the environment.
    if variable("REQUEST_METHOD").is_ok() || is_exempt(url, &variable) {
        return Ok(None);
    }
    for names in [own, ["ALL_PROXY", "all_proxy"]] {
        for name in names {
            match variable(name) {
                Err(VarError::NotPresent) => {}
                Err(VarError::NotUnicode(_)) => return Err(refused(name)),
                Ok(value) if value.is_empty() => break,
                Ok(value) => return read(name, &value).map(Some).ok_or_else(|| refused(name)),
            }
        }
    }
    Ok(None)
}

/// Whether `NO_PROXY` includes the URL's host.
fn is_exempt(url: &Url, variable: impl Fn(&str) -> Result<String, VarError>) -> bool {
    let no = variable("NO_PROXY").or_else(|_| variable("no_proxy")).unwrap_or_default();
    let Ok(uri) = url.as_str().parse() else { return false };
    Matcher::builder().all("http://proxy.invalid").no(no).build().intercept(&uri).is_none()
}

fn read(variable: &'static str, value: &str) -> Option<Proxy> {
    let has_scheme = value.contains("://");
    let url = if has_scheme { Url::parse(value) } else { Url::parse(&format!("http://{value}")) }.ok()?;
    let is_http = matches!(url.scheme(), "http" | "https");
    let (host, port) = (url.host_str()?.to_owned(), url.port_or_known_default()?);
    // The client's parser accepts only ASCII without white space.
    (is_http && value.bytes().all(|byte| byte.is_ascii_graphic())).then_some(Proxy { variable, host, port })
}

fn refused(variable: &str) -> Stop {
    Stop::Usage(format!(
        "{variable} is not a usable proxy: set it to http://HOST:PORT or https://HOST:PORT (SOCKS is not supported), \
         unset it, or add the API's host to NO_PROXY"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(variables: &[(&str, &str)]) -> Result<Option<Proxy>, Stop> {
        let url = Url::parse("https://api.us.socrata.com/api/catalog/v1").unwrap();
        find(&url, |name| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| (*value).to_owned()).ok_or(VarError::NotPresent)
        })
    }

    #[test]
    fn a_proxy_is_read_from_the_first_variable_that_is_set() {
        let proxy = |variable, host: &str, port| Proxy { variable, host: host.into(), port };
        assert_eq!(found(&[]).unwrap(), None);
        assert_eq!(found(&[("HTTP_PROXY", "socks5://x")]).unwrap(), None);
        let https = found(&[("HTTPS_PROXY", "http://me:pw@proxy:3128"), ("ALL_PROXY", "socks5://x")]);
        assert_eq!(https.unwrap(), Some(proxy("HTTPS_PROXY", "proxy", 3128)));
        assert_eq!(found(&[("all_proxy", "proxy")]).unwrap(), Some(proxy("all_proxy", "proxy", 80)));
    }

    #[test]
    fn an_unusable_proxy_is_refused_without_its_value() {
        for value in ["socks5://me:Hunter2@h:1", "http://", "http://me:Hunter2@", "Hunter2 h", "h:Hunter2"] {
            let error = found(&[("HTTPS_PROXY", value)]).unwrap_err().to_string();
            assert!(error.starts_with("HTTPS_PROXY") && !error.contains("Hunter2"), "{value}: {error}");
        }
    }

    #[test]
    fn a_host_that_is_exempt_needs_no_proxy() {
        let exempt = [("HTTPS_PROXY", "nonsense://"), ("NO_PROXY", "example.org,.socrata.com")];
        assert_eq!(found(&exempt).unwrap(), None);
    }
}
