//! Durations on the command line, for all flags of both programs.

use std::time::Duration;

/// The format of a duration, for error messages.
const RULE: &str = "expected a number of seconds, or a number with a unit, such as 30s, 10m, 6h, 7d or 2w";

/// Parses a duration: `90` (seconds), `90s`, `10m`, `6h`, `7d`, `2w`, `1h30m`, `2 hours`.
///
/// # Errors
/// The format, with examples, for anything else.
pub fn parse(text: &str) -> Result<Duration, &'static str> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Ok(Duration::from_secs(seconds));
    }
    with_unit(text)
}

/// Like [`parse`], but with a mandatory unit, for flags that accept other texts, too: `2026` is more likely a year.
///
/// # Errors
/// Same as [`parse`].
pub fn with_unit(text: &str) -> Result<Duration, &'static str> {
    // humantime distinguishes `M` (month) from `m` (minute), which is unexpected here.
    humantime::parse_duration(&text.trim().to_ascii_lowercase()).map_err(|_| RULE)
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
