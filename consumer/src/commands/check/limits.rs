//! The limits of `check`, and the levels that follow from them.

use catalog_shared::duration;
use catalog_shared::exit::Stop;
use clap::{Args, Parser};
use serde::Serialize;

/// The level of a finding, from harmless to severe. A check that could not run is less severe than a limit that is reached,
/// as in the plugins of Nagios.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    Ok,
    Unknown,
    Warning,
    Critical,
}

impl Level {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Unknown => "UNKNOWN",
            Self::Warning => "WARNING",
            Self::Critical => "CRITICAL",
        }
    }

    /// The exit code, as Nagios expects it.
    pub(super) const fn exit_code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Warning => 1,
            Self::Critical => 2,
            Self::Unknown => 3,
        }
    }
}

/// The value from which on a finding has a level: seconds or a count; `None` if it never has that level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(super) struct Limit(pub(super) Option<u64>);

const OFF: &str = "off";

fn count(text: &str) -> Result<Limit, &'static str> {
    if text.trim().eq_ignore_ascii_case(OFF) {
        return Ok(Limit(None));
    }
    text.trim().parse().map(|count| Limit(Some(count))).map_err(|_| "expected a number, or `off`")
}

fn time(text: &str) -> Result<Limit, String> {
    if text.trim().eq_ignore_ascii_case(OFF) {
        return Ok(Limit(None));
    }
    let time = duration::parse(text).map_err(|rule| format!("{rule}, or `off`"))?;
    Ok(Limit(Some(time.as_secs())))
}

/// Both limits of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Limits {
    pub(super) warning: Limit,
    pub(super) critical: Limit,
}

impl Limits {
    /// The level of a value. A limit is the first value that reaches the level.
    pub(super) fn level(self, value: u64) -> Level {
        let reaches = |Limit(limit): Limit| limit.is_some_and(|limit| value >= limit);
        if reaches(self.critical) {
            Level::Critical
        } else if reaches(self.warning) {
            Level::Warning
        } else {
            Level::Ok
        }
    }

    /// The level of a value that is beyond every limit.
    pub(super) fn highest(self) -> Level {
        self.level(u64::MAX)
    }
}

/// The limits. Each is the value from which on its level is reached, or `off`.
#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "Limits (each also takes `off`)")]
pub struct LimitArgs {
    /// Warning if the last accepted full crawl of a region ended this long ago; in a region that is only crawled with --domain,
    /// the last accepted one of a domain
    #[arg(long, env = "CATALOG_CHECK_CRAWL_AGE_WARNING", default_value = "30h", value_name = "DURATION", value_parser = time)]
    crawl_age_warning: Limit,

    /// Critical if the last accepted full crawl of a region ended this long ago; in a region that is only crawled with --domain,
    /// the last accepted one of a domain
    #[arg(long, env = "CATALOG_CHECK_CRAWL_AGE_CRITICAL", default_value = "54h", value_name = "DURATION", value_parser = time)]
    crawl_age_critical: Limit,

    /// Warning if the last crawl of a region, full, incremental or with --domain, ended this long ago
    #[arg(long, env = "CATALOG_CHECK_LAST_CRAWL_AGE_WARNING", default_value = "off", value_name = "DURATION", value_parser = time)]
    last_crawl_age_warning: Limit,

    /// Critical if the last crawl of a region, full, incremental or with --domain, ended this long ago
    #[arg(long, env = "CATALOG_CHECK_LAST_CRAWL_AGE_CRITICAL", default_value = "off", value_name = "DURATION", value_parser = time)]
    last_crawl_age_critical: Limit,

    /// Warning if the oldest unread record is this old
    #[arg(long, env = "CATALOG_CHECK_LAG_TIME_WARNING", default_value = "15m", value_name = "DURATION", value_parser = time)]
    lag_time_warning: Limit,

    /// Critical if the oldest unread record is this old
    #[arg(long, env = "CATALOG_CHECK_LAG_TIME_CRITICAL", default_value = "1h", value_name = "DURATION", value_parser = time)]
    lag_time_critical: Limit,

    /// Warning if this many records are unread. A crawl publishes many at once, so prefer --lag-time-warning
    #[arg(long, env = "CATALOG_CHECK_LAG_RECORDS_WARNING", default_value = "off", value_name = "N", value_parser = count)]
    lag_records_warning: Limit,

    /// Critical if this many records are unread
    #[arg(long, env = "CATALOG_CHECK_LAG_RECORDS_CRITICAL", default_value = "off", value_name = "N", value_parser = count)]
    lag_records_critical: Limit,

    /// Warning if a run on hold ended this long ago
    #[arg(long, env = "CATALOG_CHECK_HELD_WARNING", default_value = "0s", value_name = "DURATION", value_parser = time)]
    held_warning: Limit,

    /// Critical if a run on hold ended this long ago
    #[arg(long, env = "CATALOG_CHECK_HELD_CRITICAL", default_value = "3d", value_name = "DURATION", value_parser = time)]
    held_critical: Limit,

    /// Warning if a run that has not ended has published nothing for this long
    #[arg(long, env = "CATALOG_CHECK_OPEN_WARNING", default_value = "6h", value_name = "DURATION", value_parser = time)]
    open_warning: Limit,

    /// Critical if a run that has not ended has published nothing for this long
    #[arg(long, env = "CATALOG_CHECK_OPEN_CRITICAL", default_value = "2d", value_name = "DURATION", value_parser = time)]
    open_critical: Limit,

    /// Warning if this many domains are shielded. Most shields end by themselves
    #[arg(long, env = "CATALOG_CHECK_SHIELDED_WARNING", default_value = "10", value_name = "N", value_parser = count)]
    shielded_warning: Limit,

    /// Critical if this many domains are shielded
    #[arg(long, env = "CATALOG_CHECK_SHIELDED_CRITICAL", default_value = "off", value_name = "N", value_parser = count)]
    shielded_critical: Limit,

    /// Warning if this many dead letters are open
    #[arg(long, env = "CATALOG_CHECK_DEAD_LETTERS_WARNING", default_value = "1", value_name = "N", value_parser = count)]
    dead_letters_warning: Limit,

    /// Critical if this many dead letters are open
    #[arg(long, env = "CATALOG_CHECK_DEAD_LETTERS_CRITICAL", default_value = "100", value_name = "N", value_parser = count)]
    dead_letters_critical: Limit,

    /// With --verify: warning if this many of its checks find errors
    #[arg(long, env = "CATALOG_CHECK_VERIFY_WARNING", default_value = "off", value_name = "N", value_parser = count)]
    verify_warning: Limit,

    /// With --verify: critical if this many of its checks find errors
    #[arg(long, env = "CATALOG_CHECK_VERIFY_CRITICAL", default_value = "1", value_name = "N", value_parser = count)]
    verify_critical: Limit,
}

/// A command line that has only limits.
#[derive(Parser)]
struct LimitLine {
    #[command(flatten)]
    limits: LimitArgs,
}

impl LimitArgs {
    /// The limits of the environment (`CATALOG_CHECK_…`), for commands without these flags.
    ///
    /// # Errors
    /// [`Stop::Usage`] for an invalid one.
    pub(crate) fn from_environment() -> Result<Self, Stop> {
        let line = LimitLine::try_parse_from(["limits"]);
        line.map(|line| line.limits).map_err(|error| {
            Stop::Usage(error.to_string().trim_start_matches("error: ").trim_end().to_owned())
        })
    }

    pub(super) const fn crawl_age(&self) -> Limits {
        Limits { warning: self.crawl_age_warning, critical: self.crawl_age_critical }
    }

    pub(super) const fn last_crawl_age(&self) -> Limits {
        Limits { warning: self.last_crawl_age_warning, critical: self.last_crawl_age_critical }
    }

    pub(super) const fn lag_time(&self) -> Limits {
        Limits { warning: self.lag_time_warning, critical: self.lag_time_critical }
    }

    pub(super) const fn lag_records(&self) -> Limits {
        Limits { warning: self.lag_records_warning, critical: self.lag_records_critical }
    }

    pub(super) const fn held(&self) -> Limits {
        Limits { warning: self.held_warning, critical: self.held_critical }
    }

    pub(super) const fn open(&self) -> Limits {
        Limits { warning: self.open_warning, critical: self.open_critical }
    }

    pub(super) const fn shielded(&self) -> Limits {
        Limits { warning: self.shielded_warning, critical: self.shielded_critical }
    }

    pub(super) const fn dead_letters(&self) -> Limits {
        Limits { warning: self.dead_letters_warning, critical: self.dead_letters_critical }
    }

    pub(super) const fn verify(&self) -> Limits {
        Limits { warning: self.verify_warning, critical: self.verify_critical }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_the_first_value_of_its_level() {
        let limits = Limits { warning: count("1").unwrap(), critical: count("100").unwrap() };
        assert_eq!(
            [0, 1, 99, 100].map(|value| limits.level(value)),
            [Level::Ok, Level::Warning, Level::Warning, Level::Critical]
        );
        let held = Limits { warning: time("0s").unwrap(), critical: time("off").unwrap() };
        assert_eq!((held.level(0), held.highest()), (Level::Warning, Level::Warning));
        let off = Limits { warning: count("OFF").unwrap(), critical: time(" off").unwrap() };
        assert_eq!(off.highest(), Level::Ok);
    }

    #[test]
    fn times_have_units_and_counts_have_none() {
        assert_eq!((time("30h"), count("30h").is_err()), (Ok(Limit(Some(108_000))), true));
        assert!(time("soon").unwrap_err().ends_with("or `off`"));
    }

    #[test]
    fn a_reached_limit_is_more_severe_than_a_check_that_could_not_run() {
        let levels = [Level::Critical, Level::Warning, Level::Unknown, Level::Ok];
        assert!(levels.is_sorted_by(|one, other| one > other));
        assert_eq!(levels.map(Level::exit_code), [2, 1, 3, 0]);
    }
}
