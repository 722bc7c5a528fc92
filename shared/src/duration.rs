//! Durations on the command line, for all flags of both programs.

use std::time::Duration;

/// The longest duration: 100 years of 365.25 days. Added to any time of a clock, it is still a time.
const MAX: Duration = Duration::from_secs(100 * 31_557_600);
/// The refusal of a longer one.
pub const TOO_LONG: &str = "must be at most 100y, such as 30s, 10m, 6h or 7d";

/// The format of a duration, for error messages.
const RULE: &str = "expected a number of seconds, or a number with a unit, such as 30s, 10m, 6h, 7d or 2w";

/// Parses a duration: `90` (seconds), `90s`, `10m`, `6h`, `7d`, `2w`, `1h30m`, `2 hours`.
///
/// # Errors
/// The format, with examples, for anything else; [`TOO_LONG`] for more than 100 years.
pub fn parse(text: &str) -> Result<Duration, &'static str> {
    let text = text.trim();
    match text.parse::<u64>() {
        Ok(seconds) => limited(Duration::from_secs(seconds)),
        Err(_) => with_unit(text),
    }
}

fn limited(time: Duration) -> Result<Duration, &'static str> {
    if time > MAX { Err(TOO_LONG) } else { Ok(time) }
}

/// Like [`parse`], but with a mandatory unit, for flags that accept other texts, too: `2026` is more likely a year.
///
/// # Errors
/// Same as [`parse`].
pub fn with_unit(text: &str) -> Result<Duration, &'static str> {
    // humantime distinguishes `M` (month) from `m` (minute), which is unexpected here.
    humantime::parse_duration(&text.trim().to_ascii_lowercase()).map_err(|_| RULE).and_then(limited)
}

/// Like [`parse`], for timeouts: at least a second.
///
/// # Errors
/// Same as [`parse`], and for less than a second.
pub fn at_least_a_second(text: &str) -> Result<Duration, &'static str> {
    let time = parse(text)?;
    if time < Duration::from_secs(1) { Err("must be at least 1s, such as 30s or 2m") } else { Ok(time) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_parsed() {
        let parsed = |text| parse(text).map(|time| time.as_secs());
        for (text, seconds) in [
            ("30", 30),
            ("90s", 90),
            ("10m", 600),
            ("10 min", 600),
            ("12h", 43_200),
            ("7d", 604_800),
            ("2W", 1_209_600),
            ("1h30m", 5_400),
            ("0", 0),
        ] {
            assert_eq!(parsed(text), Ok(seconds), "{text}");
        }
        for text in ["", "m", "-1", "soon", "10µ", "99999999999999999999", "99999999999999999w"] {
            assert_eq!(parsed(text), Err(RULE), "{text}");
        }
    }

    #[test]
    fn a_duration_is_at_most_100_years() {
        for text in ["18446744073709551615", "3155760001", "101y", "3000y"] {
            assert_eq!(parse(text), Err(TOO_LONG), "{text}");
        }
        assert_eq!((parse("100y"), with_unit("3000y")), (Ok(MAX), Err(TOO_LONG)));
        assert!(std::time::Instant::now().checked_add(MAX * 3).is_some());
    }

    #[test]
    fn a_unit_may_be_mandatory() {
        assert!(with_unit("2026").is_err());
        assert_eq!(with_unit("7d"), Ok(Duration::from_secs(604_800)));
    }

    #[test]
    fn timeouts_are_at_least_a_second() {
        assert!(["0", "0s", "500ms"].iter().all(|text| at_least_a_second(text).is_err()));
        assert_eq!(at_least_a_second("1"), Ok(Duration::from_secs(1)));
    }
}
