//! Where an incremental run starts.

use std::time::Duration;

use catalog_shared::cursor::Since;
use catalog_shared::exit::Stop;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::config::scope::{ScopeArgs, SinceArg};

/// How far before the start of the last run `--since auto` looks back, because clocks differ and the API's index
/// lags.
const OVERLAP: Duration = Duration::from_secs(3600);

/// Where an incremental run is to start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// At a time.
    At(OffsetDateTime),
    /// This long before the run starts.
    Ago { ago: Duration },
    /// This long before the start of the last run that saw every change.
    Auto { overlap: Duration },
}

impl Start {
    /// `--since auto`.
    pub(crate) const AUTO: Self = Self::Auto { overlap: OVERLAP };

    /// The start that the flags ask for; `None` for runs that are not incremental.
    ///
    /// # Errors
    /// [`Stop::Usage`] for an overlap with a given time.
    pub(crate) fn of(scope: &ScopeArgs) -> Result<Option<Self>, Stop> {
        match (scope.since, scope.overlap) {
            (Some(SinceArg::At(_) | SinceArg::Ago(_)), Some(_)) => {
                Err(Stop::Usage("--overlap works with `--since auto` only, not with a time".into()))
            }
            (Some(SinceArg::Ago(ago)), None) => Ok(Some(Self::Ago { ago })),
            (Some(SinceArg::At(time)), None) => Ok(Some(Self::At(time))),
            (Some(SinceArg::Auto), overlap) => Ok(Some(Self::Auto { overlap: overlap.unwrap_or(OVERLAP) })),
            (None, _) => Ok(None),
        }
    }

    /// The flags as text, to compare them when a run is resumed. The time itself differs: `auto` and `7d` mean
    /// another time on another day, and `auto` depends on the overlap.
    pub(crate) fn flags(&self) -> String {
        match self {
            Self::At(time) => time.format(&Rfc3339).unwrap_or_else(|_| time.to_string()),
            Self::Ago { ago } => humantime::format_duration(*ago).to_string(),
            Self::Auto { overlap: OVERLAP } => "auto".to_owned(),
            Self::Auto { overlap } => format!("auto, with --overlap {}s", overlap.as_secs()),
        }
    }

    /// The start of a new run over these domains (all of them if empty). `complete_since` is when the last run
    /// started that saw every change of these domains.
    ///
    /// # Errors
    /// [`Stop::Usage`] if `auto` has no such run.
    pub(crate) fn resolve(
        &self,
        complete_since: Option<OffsetDateTime>,
        domains: &[String],
    ) -> Result<Since, Stop> {
        let from = match self {
            Self::At(time) => *time,
            Self::Ago { ago } => before(OffsetDateTime::now_utc(), *ago)
                .ok_or_else(|| Stop::Usage("--since: the age is too large for a date".to_owned()))?,
            Self::Auto { overlap } => complete_since
                .and_then(|start| before(start, *overlap))
                .ok_or_else(|| Stop::Usage(no_complete_run(domains)))?,
        };
        Ok(Since { flags: self.flags(), from })
    }
}

fn before(time: OffsetDateTime, span: Duration) -> Option<OffsetDateTime> {
    time.checked_sub(span.try_into().ok()?)
}

fn no_complete_run(domains: &[String]) -> String {
    if domains.is_empty() {
        return "--since auto: no run of this region has seen the whole catalog yet. Crawl it once without --since, or \
                give a time"
            .to_owned();
    }
    format!(
        "--since auto: no run has seen all assets of {} yet. Crawl once with the same --domain and without --since, \
         or give a time",
        domains.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::scope::tests::parse;

    fn start(flags: &[&str]) -> Start {
        Start::of(&parse(flags).unwrap()).unwrap().unwrap()
    }

    #[test]
    fn an_overlap_needs_auto() {
        let with_overlap = parse(&["--since", "2026-01-31", "--overlap", "1h"]).unwrap();
        assert!(matches!(Start::of(&with_overlap), Err(Stop::Usage(text)) if text.contains("--overlap")));
    }

    #[test]
    fn a_date_and_a_time_of_any_zone_mean_an_instant() {
        for text in ["2026-01-31", "2026-01-31T01:00:00+01:00"] {
            assert_eq!(start(&["--since", text]).flags(), "2026-01-31T00:00:00Z");
        }
    }

    #[test]
    fn an_age_is_subtracted_from_the_start_of_the_run() {
        let start = |text| start(&["--since", text]);
        let from = start("7d").resolve(None, &[]).unwrap().from;
        let ago = OffsetDateTime::now_utc() - from;
        assert!((ago - time::Duration::days(7)).abs() < time::Duration::minutes(5), "{ago}");
        // A resume may write the same age in another way.
        assert_eq!(start("1w").flags(), start("168h").flags());
        assert_ne!(start("7d").flags(), start("8d").flags());
        assert!(start("9000w").resolve(None, &[]).is_ok() && start("900000w").resolve(None, &[]).is_err());
    }

    #[test]
    fn auto_starts_an_overlap_before_the_last_run_that_saw_every_change() {
        let auto = start(&["--since", "auto"]);
        let last = OffsetDateTime::from_unix_timestamp(7200).unwrap();
        assert_eq!(auto.resolve(Some(last), &[]).unwrap().from.unix_timestamp(), 3600);
        assert_eq!(auto.flags(), "auto");
        assert!(matches!(auto.resolve(None, &[]), Err(Stop::Usage(text)) if text.contains("--since auto")));
        let scoped = auto.resolve(None, &["a.example".into()]);
        assert!(matches!(scoped, Err(Stop::Usage(text)) if text.contains("all assets of a.example")));
    }
}
