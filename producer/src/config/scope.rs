//! The flags that restrict a crawl to a part of the catalog.

use std::str::FromStr;
use std::time::Duration;

use catalog_shared::duration;
use catalog_shared::key::is_name;
use clap::Args;
use time::format_description::well_known::{Iso8601, Rfc3339};
use time::{Date, OffsetDateTime, Time, UtcOffset};

use crate::model::idspace;

/// The flags that restrict a crawl to a part of the catalog.
#[derive(Args, Debug)]
#[command(next_help_heading = "Part of the catalog")]
pub struct ScopeArgs {
    /// Only what was updated since a time (RFC 3339, a date, or an age: 7d, 12h), or since the last run that saw
    /// every change (auto); works with --domain
    #[arg(long, value_name = "TIME|AGE|auto", conflicts_with_all = ["limit", "cursor"])]
    pub since: Option<SinceArg>,

    /// How far before the start of that run `--since auto` looks back [default: 1h]
    #[arg(long, value_parser = duration::parse, requires = "since", value_name = "DURATION")]
    pub overlap: Option<Duration>,

    /// At most this many assets, the first ones in id order
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: Option<u64>,

    /// Only the assets of a domain, such as data.cityofchicago.org; repeatable
    #[arg(long = "domain", value_name = "HOST", value_parser = domain)]
    pub domains: Vec<String>,

    /// Only the assets after an id, such as ijzp-q8t2
    #[arg(long, value_name = "ID", value_parser = id)]
    pub cursor: Option<String>,
}

/// A time, an age, or `auto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SinceArg {
    /// The start of the last run that saw every change.
    Auto,
    /// A given time.
    At(OffsetDateTime),
    /// This long before the run starts.
    Ago(Duration),
}

impl FromStr for SinceArg {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.eq_ignore_ascii_case("auto") {
            return Ok(Self::Auto);
        }
        match duration::with_unit(text) {
            Ok(ago) => return Ok(Self::Ago(ago)),
            Err(duration::TOO_LONG) => return Err(duration::TOO_LONG),
            Err(_) => {}
        }
        let midnight = |date: Date| date.with_time(Time::MIDNIGHT).assume_utc();
        let date = || Date::parse(text, &Iso8601::DATE).map(midnight);
        let time = OffsetDateTime::parse(text, &Rfc3339).or_else(|_| date());
        let time = time.map_err(
            |_| "expected a time (2026-01-31T12:00:00Z, 2026-01-31), an age (7d, 12h, 2w), or `auto`",
        )?;
        if time > OffsetDateTime::now_utc() {
            return Err("this time is in the future");
        }
        // In UTC, so that equal instants compare as equal however they were written.
        Ok(Self::At(time.to_offset(UtcOffset::UTC)))
    }
}

/// A host name. Commas must be refused because the API takes a comma-separated list.
fn domain(text: &str) -> Result<String, &'static str> {
    let is_host = is_name(text) && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-'));
    if is_host { Ok(text.to_ascii_lowercase()) } else { Err("expected one host name") }
}

fn id(text: &str) -> Result<String, &'static str> {
    if idspace::is_well_formed(text) {
        Ok(text.to_owned())
    } else {
        Err("expected an id of the form xxxx-xxxx in lower case")
    }
}

impl ScopeArgs {
    /// The domains, sorted and without duplicates.
    pub(crate) fn domains(&self) -> Vec<String> {
        let mut domains = self.domains.clone();
        domains.sort_unstable();
        domains.dedup();
        domains
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        scope: ScopeArgs,
    }

    pub(crate) fn parse(flags: &[&str]) -> Result<ScopeArgs, clap::Error> {
        Line::try_parse_from(["x"].iter().chain(flags)).map(|line| line.scope)
    }

    #[test]
    fn domains_are_a_set_in_lower_case() {
        let scope = parse(&["--domain", "b.example", "--domain", "A.example", "--domain", "b.example"]);
        assert_eq!(scope.unwrap().domains(), ["a.example", "b.example"]);
    }

    #[test]
    fn invalid_values_are_refused_with_the_name_of_the_flag() {
        let lines: [&[&str]; 11] = [
            &["--since", "2026"],
            &["--since", "yesterday"],
            &["--since", "9000-01-01"],
            &["--since", "3000y"],
            &["--overlap", "3000y", "--since", "auto"],
            &["--since", "auto", "--limit", "5"],
            &["--since", "auto", "--cursor", "ijzp-q8t2"],
            &["--overlap", "1h"],
            &["--limit", "0"],
            &["--domain", "a.example,b.example"],
            &["--cursor", "ijzp-q8t2:draft"],
        ];
        for line in lines {
            let error = parse(line).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(error.contains(line[0]), "{line:?}: {error}");
        }
    }
}
