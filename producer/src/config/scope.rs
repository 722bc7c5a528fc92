//! How much of the catalog a crawl looks at: the flags that say so, and the shape that they give a run.

use std::str::FromStr;
use std::time::Duration;

use catalog_shared::cursor::{Mode, Shape, Since};
use catalog_shared::duration;
use catalog_shared::exit::Stop;
use catalog_shared::key::is_name;
use catalog_shared::record::Kind;
use clap::Args;
use time::format_description::well_known::{Iso8601, Rfc3339};
use time::{Date, OffsetDateTime, Time, UtcOffset};

use crate::model::idspace;

/// How far before the start of the last run `--since auto` looks back: clocks differ, and an index lags.
const OVERLAP: Duration = Duration::from_secs(3600);

/// The flags that ask for less than the whole catalog.
#[derive(Args, Debug)]
#[command(next_help_heading = "Less than the whole catalog")]
pub struct ScopeArgs {
    /// Only what was updated since a time (RFC 3339, a date, or so long ago: 7d, 12h), or since the last run that saw
    /// every change (auto); goes with --domain
    #[arg(long, value_name = "TIME|AGO|auto", conflicts_with_all = ["limit", "cursor"])]
    pub since: Option<SinceArg>,

    /// How far before the start of that run `--since auto` looks back [default: 1h]
    #[arg(long, value_parser = duration::parse, requires = "since", value_name = "DURATION")]
    pub overlap: Option<Duration>,

    /// No more than so many assets, the first in the order of their ids
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: Option<u64>,

    /// Only the assets of a domain, such as data.cityofchicago.org; repeatable
    #[arg(long = "domain", value_name = "HOST", value_parser = domain)]
    pub domains: Vec<String>,

    /// Only the assets behind an id, such as ijzp-q8t2
    #[arg(long, value_name = "ID", value_parser = id)]
    pub cursor: Option<String>,
}

/// A time, or `auto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SinceArg {
    /// The start of the last run that saw every change.
    Auto,
    /// A given time.
    At(OffsetDateTime),
    /// So long before the run begins.
    Ago(Duration),
}

impl FromStr for SinceArg {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.eq_ignore_ascii_case("auto") {
            return Ok(Self::Auto);
        }
        if let Ok(ago) = duration::with_unit(text) {
            return Ok(Self::Ago(ago));
        }
        let midnight = |date: Date| date.with_time(Time::MIDNIGHT).assume_utc();
        let date = || Date::parse(text, &Iso8601::DATE).map(midnight);
        let time = OffsetDateTime::parse(text, &Rfc3339).or_else(|_| date());
        let time = time.map_err(
            |_| "give a time (2026-01-31T12:00:00Z, 2026-01-31), how long ago (7d, 12h, 2w), or `auto`",
        )?;
        if time > OffsetDateTime::now_utc() {
            return Err("this time is still to come");
        }
        // So that it is compared as an instant, however it was written.
        Ok(Self::At(time.to_offset(UtcOffset::UTC)))
    }
}

/// Part of a comma list in the API, so what it may hold is looked at here.
fn domain(text: &str) -> Result<String, &'static str> {
    let is_host = is_name(text) && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-'));
    if is_host { Ok(text.to_ascii_lowercase()) } else { Err("a domain is a host's name and no more") }
}

fn id(text: &str) -> Result<String, &'static str> {
    if idspace::is_well_formed(text) {
        Ok(text.to_owned())
    } else {
        Err("an id reads xxxx-xxxx, in lower case")
    }
}

impl ScopeArgs {
    /// The domains that are asked for, in order and each once.
    pub(crate) fn domains(&self) -> Vec<String> {
        let mut domains = self.domains.clone();
        domains.sort_unstable();
        domains.dedup();
        domains
    }

    /// The shape of the run that is asked for. Where a since-run starts is not in it yet: see
    /// [`Start::since`].
    pub(crate) fn shape(&self, kinds: Vec<Kind>, api_url: String) -> Shape {
        let is_part = self.limit.is_some() || !self.domains.is_empty() || self.cursor.is_some();
        let mode = match self.since {
            Some(_) => Mode::Since,
            None if is_part => Mode::Part,
            None => Mode::Full,
        };
        let (domains, from) = (self.domains(), self.cursor.clone());
        Shape { mode, kinds, api_url, since: None, limit: self.limit, domains, from }
    }

    /// Where a since-run is to start; none for other runs.
    ///
    /// # Errors
    /// [`Stop::Usage`] for an overlap with a time, which is meant as it is given.
    pub(crate) fn start(&self) -> Result<Option<Start>, Stop> {
        match (self.since, self.overlap) {
            (Some(SinceArg::At(_) | SinceArg::Ago(_)), Some(_)) => {
                Err(Stop::Usage("--overlap belongs to `--since auto`, not to a --since with a time".into()))
            }
            (Some(SinceArg::Ago(ago)), None) => Ok(Some(Start::Ago { ago })),
            (Some(SinceArg::At(time)), None) => Ok(Some(Start::At(time))),
            (Some(SinceArg::Auto), overlap) => Ok(Some(Start::Auto { overlap: overlap.unwrap_or(OVERLAP) })),
            (None, _) => Ok(None),
        }
    }
}

/// Where a since-run is to start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// At a time.
    At(OffsetDateTime),
    /// So long before the run begins.
    Ago { ago: Duration },
    /// So long before the last run that saw every change.
    Auto { overlap: Duration },
}

impl Start {
    /// What was asked for, as it is compared on a resume: `auto` and `7d` mean another time on another day, and
    /// `auto` with another overlap another one on the same.
    pub(crate) fn asked(&self) -> String {
        match self {
            Self::At(time) => time.format(&Rfc3339).unwrap_or_else(|_| time.to_string()),
            Self::Ago { ago } => humantime::format_duration(*ago).to_string(),
            Self::Auto { overlap: OVERLAP } => "auto".to_owned(),
            Self::Auto { overlap } => format!("auto, with --overlap {}s", overlap.as_secs()),
        }
    }

    /// The start of a new run over these domains (all where there are none), after a run that saw every change
    /// of them and began at `complete_since`.
    ///
    /// # Errors
    /// [`Stop::Usage`] where `auto` has no such run to look back to.
    pub(crate) fn since(
        &self,
        complete_since: Option<OffsetDateTime>,
        domains: &[String],
    ) -> Result<Since, Stop> {
        let from = match self {
            Self::At(time) => *time,
            Self::Ago { ago } => before(OffsetDateTime::now_utc(), *ago)
                .ok_or_else(|| Stop::Usage("--since: that is longer ago than dates can say".to_owned()))?,
            Self::Auto { overlap } => complete_since
                .and_then(|start| before(start, *overlap))
                .ok_or_else(|| Stop::Usage(nothing_before(domains)))?,
        };
        Ok(Since { asked: self.asked(), from })
    }
}

fn before(time: OffsetDateTime, span: Duration) -> Option<OffsetDateTime> {
    time.checked_sub(span.try_into().ok()?)
}

fn nothing_before(domains: &[String]) -> String {
    if domains.is_empty() {
        return "--since auto: no run of this region has seen the whole catalog yet. Crawl it once without --since, \
                or give a time"
            .to_owned();
    }
    format!(
        "--since auto: no run has seen all assets of {} yet. Crawl with the same --domain once without --since, or \
         give a time",
        domains.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        scope: ScopeArgs,
    }

    fn parse(flags: &[&str]) -> Result<ScopeArgs, clap::Error> {
        Line::try_parse_from(["x"].iter().chain(flags)).map(|line| line.scope)
    }

    fn shape(flags: &[&str]) -> Shape {
        parse(flags).unwrap().shape(Vec::new(), String::new())
    }

    #[test]
    fn flags_choose_the_mode() {
        assert_eq!(shape(&[]).mode, Mode::Full);
        assert_eq!(shape(&["--since", "auto"]).mode, Mode::Since);
        let scoped = shape(&["--since", "auto", "--domain", "a.example"]);
        assert_eq!((scoped.mode, scoped.domains), (Mode::Since, vec!["a.example".to_owned()]));
        for part in [["--limit", "5"], ["--domain", "a.example"], ["--cursor", "ijzp-q8t2"]] {
            assert_eq!(shape(&part).mode, Mode::Part, "{part:?}");
        }
    }

    #[test]
    fn domains_are_a_set_in_lower_case() {
        let one = shape(&["--domain", "b.example", "--domain", "A.example", "--domain", "b.example"]);
        assert_eq!(one.domains, ["a.example", "b.example"]);
    }

    #[test]
    fn what_can_not_be_is_refused_and_the_flag_is_named() {
        let lines: [&[&str]; 9] = [
            &["--since", "2026"],
            &["--since", "yesterday"],
            &["--since", "9000-01-01"],
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
        let with_overlap = parse(&["--since", "2026-01-31", "--overlap", "1h"]).unwrap();
        assert!(matches!(with_overlap.start(), Err(Stop::Usage(text)) if text.contains("--overlap")));
    }

    #[test]
    fn a_date_and_a_time_of_any_zone_mean_an_instant() {
        let start = |text| parse(&["--since", text]).unwrap().start().unwrap().unwrap();
        for text in ["2026-01-31", "2026-01-31T01:00:00+01:00"] {
            assert_eq!(start(text).asked(), "2026-01-31T00:00:00Z");
        }
    }

    #[test]
    fn a_span_means_so_long_before_the_run_begins() {
        let start = |text| parse(&["--since", text]).unwrap().start().unwrap().unwrap();
        let from = start("7d").since(None, &[]).unwrap().from;
        let ago = OffsetDateTime::now_utc() - from;
        assert!((ago - time::Duration::days(7)).abs() < time::Duration::minutes(5), "{ago}");
        // However it is written, a resume asks for the same.
        assert_eq!(start("1w").asked(), start("168h").asked());
        assert_ne!(start("7d").asked(), start("8d").asked());
        assert!(start("9000w").since(None, &[]).is_ok() && start("900000w").since(None, &[]).is_err());
    }

    #[test]
    fn auto_starts_an_overlap_before_the_last_run_that_saw_every_change() {
        let auto = parse(&["--since", "auto"]).unwrap().start().unwrap().unwrap();
        let last = OffsetDateTime::from_unix_timestamp(7200).unwrap();
        assert_eq!(auto.since(Some(last), &[]).unwrap().from.unix_timestamp(), 3600);
        assert_eq!(auto.asked(), "auto");
        assert!(matches!(auto.since(None, &[]), Err(Stop::Usage(text)) if text.contains("--since auto")));
        let scoped = auto.since(None, &["a.example".into()]);
        assert!(matches!(scoped, Err(Stop::Usage(text)) if text.contains("all assets of a.example")));
    }
}
