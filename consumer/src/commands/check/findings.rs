//! Findings: what was measured, its level, and the next command.

use catalog_shared::human::{count, counted, span};
use catalog_shared::run_sentences::run_not_ended;
use serde::Serialize;

use super::facts::{HeldRun, OpenDeadLetters, OpenRun, ShieldedDomain};
use super::lag::Lag;
use super::limits::{Level, Limit, Limits};

pub(super) mod crawls;

/// One finding.
#[derive(Debug, Serialize)]
pub(crate) struct Finding {
    /// The name of the check.
    pub(crate) check: &'static str,
    pub(crate) level: Level,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) region: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) run: Option<i64>,
    /// The finding in a few words.
    pub(crate) found: String,
    /// The value that was compared with the limits, in seconds or a count.
    #[serde(flatten)]
    pub(super) measured: Option<Measured>,
    /// The next command to run.
    pub(super) next: Option<String>,
}

/// A value and its limits.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Measured {
    pub(super) value: u64,
    pub(super) unit: Unit,
    #[serde(flatten)]
    pub(super) limits: Limits,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Unit {
    Seconds,
    Count,
}

impl Finding {
    /// A finding of a value.
    fn measured(check: &'static str, value: u64, unit: Unit, limits: Limits, found: String) -> Self {
        let measured = Some(Measured { value, unit, limits });
        Self { measured, ..Self::plain(check, limits.level(value), found) }
    }

    /// A finding of an age. It names the limit that is reached, so that nobody has to look it up.
    fn aged(check: &'static str, age: u64, limits: Limits, found: &str) -> Self {
        let reached = match limits.level(age) {
            Level::Critical => limits.critical.0,
            Level::Warning => limits.warning.0,
            Level::Ok | Level::Unknown => None,
        };
        let limit = reached.map(|limit| format!(", and the limit is {}", span(limit))).unwrap_or_default();
        Self::measured(check, age, Unit::Seconds, limits, format!("{found}{limit}"))
    }

    /// A finding without a value.
    pub(super) const fn plain(check: &'static str, level: Level, found: String) -> Self {
        Self { check, level, region: None, run: None, found, measured: None, next: None }
    }

    fn of(self, region: &str, run: Option<i64>) -> Self {
        Self { region: Some(region.to_owned()), run, ..self }
    }

    /// Whether a limit is reached.
    pub(crate) const fn is_problem(&self) -> bool {
        matches!(self.level, Level::Warning | Level::Critical)
    }

    /// Adds the next command, unless all is well.
    pub(super) fn next(self, command: impl Into<String>) -> Self {
        let next = (self.level != Level::Ok).then(|| command.into());
        Self { next, ..self }
    }
}

/// Whole seconds. A clock that is ahead gives negative ones.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates")]
pub(super) const fn whole_seconds(seconds: f64) -> u64 {
    seconds as u64
}

fn at_least_zero(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

/// Unread records.
pub(super) fn lag(lag: &Lag, records: Limits, time: Limits) -> Vec<Finding> {
    const NEXT: &str = "catalog-consumer doctor";
    let unread = if lag.records == 0 { "nothing unread".to_owned() } else { unread(lag.records) };
    let records = Finding::measured("lag_records", lag.records, Unit::Count, records, unread);
    let of = |seconds, found| Finding::measured("lag_time", seconds, Unit::Seconds, time, found);
    let time = match (&lag.oldest_in, lag.seconds) {
        (Some(partition), Some(seconds)) => {
            of(seconds, format!("the oldest unread record is {} old ({partition})", span(seconds)))
        }
        // Nothing is unread, so a limit of 0 s must not raise the level.
        _ => Finding { level: Level::Ok, ..of(0, "no unread record".to_owned()) },
    };
    vec![records.next(NEXT), time.next(NEXT)]
}

/// Offsets are an upper bound of records.
fn unread(offsets: u64) -> String {
    format!("up to {} unread", counted(offsets, "record", "records"))
}

/// Runs on hold.
pub(super) fn held_runs(held: &[HeldRun], limits: Limits) -> Vec<Finding> {
    const CHECK: &str = "held_runs";
    let of_run = |HeldRun { region, run, reason, age }: &HeldRun| {
        let age = whole_seconds(age.unwrap_or_default());
        let found = format!("run {run} of {region} has been on hold for {}: {reason}", span(age));
        let finding = Finding::measured(CHECK, age, Unit::Seconds, limits, found);
        finding.of(region, Some(*run)).next(format!("catalog-consumer runs show {run} --region {region}"))
    };
    one_or_ok(CHECK, "no run on hold", held.iter().map(of_run).collect())
}

/// Runs that have not ended.
pub(super) fn open_runs(open: &[OpenRun], limits: Limits) -> Vec<Finding> {
    const CHECK: &str = "open_runs";
    let of_run = |OpenRun { region, run, age }: &OpenRun| {
        let finding = match age {
            Some(age) => {
                let age = whole_seconds(*age);
                Finding::aged(CHECK, age, limits, &run_not_ended(region, *run, age))
            }
            None => {
                let found =
                    format!("run {run} of {region} has not ended; when it was last active is unknown");
                Finding::plain(CHECK, limits.highest().min(Level::Warning), found)
            }
        };
        finding.of(region, Some(*run)).next(format!("catalog-producer status --region {region}"))
    };
    one_or_ok(CHECK, "every run has ended", open.iter().map(of_run).collect())
}

fn one_or_ok(check: &'static str, none: &str, findings: Vec<Finding>) -> Vec<Finding> {
    if findings.is_empty() { vec![Finding::plain(check, Level::Ok, none.to_owned())] } else { findings }
}

/// Shielded domains. The next command shows the run that shields most datasets.
pub(super) fn shielded(domains: &[ShieldedDomain], limits: Limits) -> Finding {
    const CHECK: &str = "shielded_domains";
    let Some(ShieldedDomain { region, domain, run, kept }) = domains.iter().max_by_key(|domain| domain.kept)
    else {
        return Finding::measured(CHECK, 0, Unit::Count, limits, "no shielded domain".to_owned());
    };
    let (number, kept) = (domains.len() as u64, counted(at_least_zero(*kept), "dataset", "datasets"));
    let domains = counted(number, "domain is", "domains are");
    let found = format!(
        "{domains} shielded, such as {domain} in {region}: {kept} that run {run} did not see are kept"
    );
    Finding::measured(CHECK, number, Unit::Count, limits, found)
        .of(region, Some(*run))
        .next(format!("catalog-consumer runs show {run} --region {region}"))
}

/// Open dead letters.
pub(super) fn dead_letters(dead: &OpenDeadLetters, limits: Limits) -> Finding {
    let open = at_least_zero(dead.open);
    let found = match (dead.first, dead.age) {
        (Some(first), Some(age)) => {
            let open = counted(open, "open dead letter", "open dead letters");
            format!("{open}; the oldest arrived {} ago (number {first})", span(whole_seconds(age)))
        }
        _ => "no open dead letter".to_owned(),
    };
    Finding::measured("dead_letters", open, Unit::Count, limits, found)
        .next("catalog-consumer dead-letters list")
}

/// Errors that `verify` finds.
pub(super) fn verify_errors(errors: &[(&'static str, i64)], limits: Limits) -> Finding {
    let number = errors.len() as u64;
    let names: Vec<String> =
        errors.iter().map(|(name, found)| format!("{name} ({})", count(at_least_zero(*found)))).collect();
    let found = match number {
        0 => "verify finds no errors".to_owned(),
        _ => format!("{} of verify found errors: {}", counted(number, "check", "checks"), names.join(", ")),
    };
    Finding::measured("verify", number, Unit::Count, limits, found).next("catalog-consumer verify")
}

/// The limit as Nagios writes it: nothing if it is off.
pub(super) fn limit_text(Limit(limit): Limit) -> String {
    limit.map(|limit| limit.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFF: Limits = Limits { warning: Limit(None), critical: Limit(None) };
    const DAYS: Limits = Limits { warning: Limit(Some(86_400)), critical: Limit(Some(172_800)) };

    #[test]
    fn lag_has_a_limit_for_records_and_one_for_time() {
        let behind =
            Lag { records: 7, seconds: Some(90_000), oldest_in: Some("t[0]".into()), ..Lag::default() };
        let [records, time] = &lag(&behind, OFF, DAYS)[..] else { panic!("two findings") };
        assert_eq!((records.level, time.level), (Level::Ok, Level::Warning));
        assert!(time.found.contains("1 d 1 h old (t[0])") && records.found.contains("7 records"));
        assert!(lag(&Lag::default(), OFF, DAYS).iter().all(|finding| finding.level == Level::Ok));
    }

    #[test]
    fn a_run_on_hold_names_the_command_that_shows_it() {
        let held = HeldRun { region: "us".into(), run: 9, reason: "too few".into(), age: Some(60.0) };
        let limits = Limits { warning: Limit(Some(0)), critical: Limit(Some(259_200)) };
        let finding = &held_runs(&[held], limits)[0];
        assert_eq!(finding.level, Level::Warning);
        assert_eq!(finding.next.as_deref(), Some("catalog-consumer runs show 9 --region us"));
        assert_eq!(held_runs(&[], limits)[0].level, Level::Ok);
    }

    #[test]
    fn an_open_run_without_a_known_time_is_at_most_a_warning() {
        let run = |age| OpenRun { region: "us".into(), run: 3, age };
        assert_eq!(open_runs(&[run(None)], DAYS)[0].level, Level::Warning);
        assert_eq!(open_runs(&[run(Some(200_000.0))], DAYS)[0].level, Level::Critical);
        assert_eq!(open_runs(&[run(None)], OFF)[0].level, Level::Ok);
    }

    #[test]
    fn counts_are_compared_with_their_limits() {
        let limits = Limits { warning: Limit(Some(1)), critical: Limit(Some(2)) };
        let domain = |kept| ShieldedDomain { region: "us".into(), domain: "a.b".into(), run: kept, kept };
        let finding = shielded(&[domain(1), domain(30)], limits);
        assert_eq!((finding.level, finding.run), (Level::Critical, Some(30)));
        assert_eq!(shielded(&[], limits).level, Level::Ok);
        let dead = OpenDeadLetters { open: 1, first: Some(5), age: Some(61.0) };
        assert_eq!(dead_letters(&dead, limits).level, Level::Warning);
        assert_eq!(dead_letters(&OpenDeadLetters::default(), limits).level, Level::Ok);
        assert_eq!(verify_errors(&[("wrong_sums", 2)], limits).level, Level::Warning);
        assert_eq!(verify_errors(&[], limits).level, Level::Ok);
    }
}
