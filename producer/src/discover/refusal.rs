//! An answer with another status than 200: what the API says of it, and when it wants to be asked again.

use std::time::{Duration, SystemTime};

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use serde::Deserialize;

use crate::discover::error::{ApiError, excerpt};

/// How much of a refusal is read, in bytes.
pub(crate) const BYTES: u64 = 64 * 1024;

/// The API says `{"error": "text"}`; a proxy before it says what it likes.
pub(crate) fn read(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> ApiError {
    #[derive(Deserialize)]
    struct Refusal {
        error: String,
    }
    let mut message = serde_json::from_slice(body).map_or_else(|_| excerpt(body), |told: Refusal| told.error);
    if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
        message.push_str(" (is the app token right? It comes from SOCRATA_APP_TOKEN)");
    }
    let retry_after = retry_after(headers, SystemTime::now());
    ApiError::Status { status: status.as_u16(), message, retry_after }
}

/// `Retry-After` in both of its forms, seconds or a date (RFC 9110, 10.2.3).
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_read_in_both_forms() {
        let at = |text: &str, now| {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]);
            retry_after(&headers, now)
        };
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        assert_eq!(at("120", now), Some(Duration::from_secs(120)));
        assert_eq!(at("Sun, 06 Nov 1994 08:49:47 GMT", now), Some(Duration::from_secs(10)));
        assert_eq!(at("Sun, 06 Nov 1994 08:49:17 GMT", now), Some(Duration::ZERO));
        assert_eq!(at("soon", now), None);
    }
}
