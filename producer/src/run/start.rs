//! Where an incremental run starts.

use std::time::Duration;

use anyhow::ensure;
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
    /// [`Stop::Usage`] if `auto` has no such run, and for a start before the year 0, which a cursor can't contain. Another error
    /// if the clock of that run ran ahead of this one: that passes, so a later slot of a schedule may succeed.
    pub(crate) fn resolve(
        &self,
        complete_since: Option<OffsetDateTime>,
        domains: &[String],
        now: OffsetDateTime,
    ) -> anyhow::Result<Since> {
        let from = match self {
            Self::At(time) => Some(*time),
            Self::Ago { ago } => before(now, *ago),
            Self::Auto { overlap } => {
                let start = complete_since.ok_or_else(|| Stop::Usage(no_complete_run(domains)))?;
                ensure!(start <= now, clock_ran_ahead(start, domains));
                before(start, *overlap)
            }
        };
        let from = from.filter(|from| from.year() >= 0);
        let from = from.ok_or_else(|| Stop::Usage(self.too_early().to_owned()))?;
        Ok(Since { flags: self.flags(), from })
    }

    const fn too_early(&self) -> &'static str {
        match self {
            Self::At(_) => "--since: the time is before the year 0",
            Self::Ago { .. } => "--since: the age is too large, it ends before the year 0",
            Self::Auto { .. } => "--overlap is too large, it ends before the year 0",
        }
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

/// Without the real start of that run, changes between it and this one could be missed.
fn clock_ran_ahead(start: OffsetDateTime, domains: &[String]) -> String {
    let start = start.format(&Rfc3339).unwrap_or_else(|_| start.to_string());
    let same = if domains.is_empty() { "" } else { "with the same --domain and " };
    format!(
        "--since auto: the last complete run started in the future, at {start}: the clock was ahead then, or is behind \
         now. Correct the clock, and if it was ahead crawl once {same}without --since, or give a time"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::scope::tests::parse;

    const NOW: OffsetDateTime = time::macros::datetime!(2026-01-31 0:00 UTC);

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
        assert_eq!(start("7d").resolve(None, &[], NOW).unwrap().from, NOW - time::Duration::days(7));
        // A resume may write the same age in another way.
        assert_eq!(start("1w").flags(), start("168h").flags());
        assert_ne!(start("7d").flags(), start("8d").flags());
    }

    #[test]
    fn a_start_before_the_year_0_is_refused() {
        let years = |years: u64| Duration::from_secs(years * 366 * 24 * 3600);
        let refused = |start: Start| start.resolve(Some(NOW), &[], NOW).err().map(|stop| stop.to_string());
        let old = time::macros::datetime!(-0001-12-31 23:00 UTC);
        for (start, flag) in [
            (Start::At(old), "--since"),
            (Start::Ago { ago: years(3_000) }, "--since"),
            (Start::Ago { ago: Duration::MAX }, "--since"),
            (Start::Auto { overlap: years(3_000) }, "--overlap"),
        ] {
            assert!(refused(start).is_some_and(|text| text.starts_with(flag)), "{start:?}");
        }
        assert_eq!(refused(Start::Ago { ago: years(100) }), None);
    }

    #[test]
    fn auto_does_not_start_from_a_run_in_the_future() {
        let ahead = NOW + time::Duration::DAY;
        let error = Start::AUTO.resolve(Some(ahead), &[], NOW).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("2026-02-01T00:00:00Z") && text.contains("without --since"), "{text}");
        // A schedule tries again in its next slot.
        assert!(!Stop::is_cause_of(&error));
        assert!(Start::AUTO.resolve(Some(NOW), &[], NOW).is_ok());
    }

    #[test]
    fn auto_starts_an_overlap_before_the_last_run_that_saw_every_change() {
        let auto = start(&["--since", "auto"]);
        let last = OffsetDateTime::from_unix_timestamp(7200).unwrap();
        assert_eq!(auto.resolve(Some(last), &[], NOW).unwrap().from.unix_timestamp(), 3600);
        assert_eq!(auto.flags(), "auto");
        let refused = |domains: &[String]| match auto.resolve(None, domains, NOW).unwrap_err().downcast() {
            Ok(Stop::Usage(text)) => text,
            other => panic!("{other:?}"),
        };
        assert!(refused(&[]).contains("--since auto"));
        assert!(refused(&["a.example".into()]).contains("all assets of a.example"));
    }
}
