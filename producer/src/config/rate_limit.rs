//! `--rate`.

use std::str::FromStr;
use std::time::Duration;

/// Requests per second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RateLimit {
    /// As fast as the API answers.
    Unlimited,
    /// At most this many, above 0.
    PerSecond(f64),
}

impl RateLimit {
    /// The time between two requests.
    pub(crate) fn period(self) -> Duration {
        match self {
            Self::Unlimited => Duration::ZERO,
            Self::PerSecond(rate) => Duration::from_secs_f64(1.0 / rate),
        }
    }
}

impl FromStr for RateLimit {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "none" {
            return Ok(Self::Unlimited);
        }
        let rate = text.parse().ok().filter(|rate: &f64| (0.001..=1_000_000.0).contains(rate));
        rate.map(Self::PerSecond).ok_or("expected a number from 0.001 to 1000000, or `none`")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_parsed_or_refused() {
        assert_eq!("0.5".parse(), Ok(RateLimit::PerSecond(0.5)));
        assert_eq!("none".parse(), Ok(RateLimit::Unlimited));
        assert!(["0", "-1", "NaN", "fast", ""].iter().all(|text| text.parse::<RateLimit>().is_err()));
    }
}
