//! The next commands for findings about the API.

use catalog_shared::doctor::shell_word;
use catalog_shared::region::Region;
use reqwest::Url;

/// Sends the request with which a crawl begins, without a token.
fn request(url: &Url, options: &str) -> String {
    let mut first = url.clone();
    first.query_pairs_mut().append_pair("scroll_id", "").append_pair("limit", "1");
    format!("curl --max-time 20 {options} {}", shell_word(first.as_str()))
}

/// Records what a crawl would receive, without writing anything: the API does not follow a rule.
pub(super) fn record(region: Region) -> String {
    format!("catalog-producer crawl --region {region} --dry-run --limit 100 --record recording")
}

/// The API can't be reached.
pub(super) fn unreachable(url: &Url) -> String {
    format!(
        "{}  # check --api-url (CATALOG_API_URL), the network, and HTTPS_PROXY",
        request(url, "--include")
    )
}

/// The API answers the first request with another status than 200.
pub(super) fn refused(status: u16, url: &Url, region: Region, has_token: bool) -> String {
    match status {
        401 | 403 if has_token => format!(
            "env --unset SOCRATA_APP_TOKEN catalog-producer doctor --region {region}  # if that works, correct or unset the token \
             (--app-token, SOCRATA_APP_TOKEN)"
        ),
        401 | 403 => format!(
            "{}  # the API or a proxy blocks this host; a token (SOCRATA_APP_TOKEN) may help",
            request(url, "--include")
        ),
        404 | 300..=399 => format!("{}  # check --api-url (CATALOG_API_URL)", request(url, "--include")),
        429 => throttled(region),
        _ => format!(
            "catalog-producer doctor --region {region}  # again later: a crawl retries errors of the server by itself"
        ),
    }
}

/// The API throttles this client.
pub(super) fn throttled(region: Region) -> String {
    format!(
        "catalog-producer doctor --region {region} --rate 1  # in a minute; lower --rate (CATALOG_RATE), or set SOCRATA_APP_TOKEN"
    )
}

/// One request got no answer or no complete one.
pub(super) fn again(region: Region) -> String {
    format!(
        "catalog-producer doctor --region {region}  # again: if this happens often, check the network and HTTPS_PROXY"
    )
}

/// Another region than the expected one answers.
pub(super) fn other_region(other: Region) -> String {
    format!(
        "catalog-producer doctor --region {other}  # correct --region (CATALOG_REGION) or --api-url (CATALOG_API_URL)"
    )
}

/// The API is slow.
pub(super) fn slow(url: &Url) -> String {
    let request =
        request(url, "--silent --output /dev/null --write-out '%{http_code} after %{time_total} s\\n'");
    format!("{request}  # slow without the producer, too? then check the network and HTTPS_PROXY, or wait")
}

/// The clocks of this host and of the API differ.
pub(super) fn clock(url: &Url) -> String {
    let request = request(url, "--silent --output /dev/null --dump-header -");
    format!("date --utc; {request} | grep -i '^date:'  # correct this host's clock with timedatectl")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_depends_on_the_token_and_the_status() {
        let url: Url = "https://api.example/api/catalog/v1".parse().unwrap();
        let next = |status, has_token| refused(status, &url, Region::Us, has_token);
        assert!(next(403, true).starts_with("env --unset SOCRATA_APP_TOKEN catalog-producer doctor"));
        assert!(next(403, false).starts_with(
            "curl --max-time 20 --include 'https://api.example/api/catalog/v1?scroll_id=&limit=1'  #"
        ));
        assert!(next(404, true).contains("CATALOG_API_URL") && next(503, true).contains("again later"));
        assert!(next(429, false).contains("--rate 1"));
    }
}
