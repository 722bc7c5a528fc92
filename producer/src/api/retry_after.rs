//! Parses the header `Retry-After`.

use std::time::{Duration, SystemTime};

use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

/// The longest wait in the header; `None` if there is no such header.
///
/// Accepts seconds and dates (RFC 9110, 10.2.3), and other forms that servers send in practice: fractions, which are
/// rounded up, several values, on separate lines or separated by commas, and numbers beyond 64 bits, which count as
/// [`Duration::MAX`]. Ignores anything else.
///
/// A date is compared with the clock of the server, which is in its header `Date`. Without one, `now` is the time.
pub(crate) fn read(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let sent = headers.get(DATE).and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok());
    let now = sent.unwrap_or(now);
    let lines = headers.get_all(RETRY_AFTER).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| values(line, now)).max()
}

/// The waits in one line. A date contains a comma, so each part is parsed alone and with the next one.
fn values(line: &str, now: SystemTime) -> Vec<Duration> {
    let parts: Vec<&str> = line.split(',').map(str::trim).collect();
    let seconds = parts.iter().filter_map(|part| seconds(part));
    let dates = parts.windows(2).filter_map(|pair| date(&format!("{}, {}", pair[0], pair[1]), now));
    let other_dates = parts.iter().filter_map(|part| date(part, now));
    seconds.chain(dates).chain(other_dates).collect()
}

/// Digits with an optional fraction.
fn seconds(text: &str) -> Option<Duration> {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    if !is_number(whole) || !is_number(fraction) {
        return None;
    }
    let begun = u64::from(fraction.bytes().any(|digit| digit != b'0'));
    let seconds = whole.parse::<u64>().ok().and_then(|whole| whole.checked_add(begun));
    Some(seconds.map_or(Duration::MAX, Duration::from_secs))
}

fn date(text: &str, now: SystemTime) -> Option<Duration> {
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten seconds before [`LATER`].
    const NOW: Duration = Duration::from_secs(784_111_767);
    const LATER: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

    fn lines(lines: &[&str]) -> Option<Duration> {
        let headers = HeaderMap::from_iter([]);
        let headers = lines.iter().fold(headers, |mut headers, line| {
            headers.append(RETRY_AFTER, line.parse().unwrap());
            headers
        });
        read(&headers, SystemTime::UNIX_EPOCH + NOW)
    }

    fn waits(line: &str) -> Option<u64> {
        lines(&[line]).map(|wait| wait.as_secs())
    }

    #[test]
    fn both_documented_forms_are_parsed() {
        assert_eq!((waits("120"), waits(" 0 ")), (Some(120), Some(0)));
        assert_eq!((waits(LATER), waits("Sunday, 06-Nov-94 08:49:37 GMT")), (Some(10), Some(10)));
        assert_eq!(waits("Sun Nov  6 08:49:37 1994"), Some(10));
        assert_eq!(waits("Sun, 06 Nov 1994 08:49:17 GMT"), Some(0));
    }

    #[test]
    fn fractions_lists_and_huge_numbers_are_parsed() {
        assert_eq!((waits("1.5"), waits("1.000"), waits("0.01")), (Some(2), Some(1), Some(1)));
        assert_eq!((waits("2, 2"), waits("2,30"), waits("soon, 2")), (Some(2), Some(30), Some(2)));
        assert_eq!((waits(&format!("{LATER}, 3")), waits(&format!("3, {LATER}"))), (Some(10), Some(10)));
        for huge in ["18446744073709551616", "99999999999999999999999.5", "18446744073709551615.5"] {
            assert_eq!(lines(&[huge]), Some(Duration::MAX));
        }
    }

    #[test]
    fn a_date_is_compared_with_the_clock_of_the_server() {
        let after = |sent: &str| {
            let headers = [(RETRY_AFTER, LATER.parse().unwrap()), (DATE, sent.parse().unwrap())];
            read(&HeaderMap::from_iter(headers), SystemTime::UNIX_EPOCH + NOW).map(|wait| wait.as_secs())
        };
        assert_eq!(after("Sun, 06 Nov 1994 08:48:37 GMT"), Some(60));
        assert_eq!(after("yesterday"), Some(10));
    }

    #[test]
    fn the_longest_of_several_lines_counts() {
        assert_eq!(lines(&["2", "30"]), Some(Duration::from_secs(30)));
        assert_eq!(lines(&["soon", "2", LATER]), Some(Duration::from_secs(10)));
    }

    #[test]
    fn anything_else_is_ignored() {
        for invalid in ["soon", "-1", "+1", "", ",", ".5", "1.", "1.5.2", "1e3", "NaN", "２", "1 2"] {
            let header = reqwest::header::HeaderValue::from_bytes(invalid.as_bytes()).unwrap();
            let headers = HeaderMap::from_iter([(RETRY_AFTER, header)]);
            assert_eq!(read(&headers, SystemTime::UNIX_EPOCH + NOW), None, "{invalid}");
        }
    }
}
