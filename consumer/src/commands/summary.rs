//! The summary of what was applied, as text or JSON. `run` and its dry run both build it.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::AddAssign;
use std::time::{Duration, Instant};

use catalog_shared::human::{self, counted};
use catalog_shared::log_writer::lost_lines;
use catalog_shared::monitoring::names;
use catalog_shared::output;
use catalog_shared::record::RecordType;
use metrics::counter;
use serde::Serialize;

use crate::commands::check::Report;
use crate::model::effect::{Applied, Effect};
use crate::model::topic::TopicKind;
use crate::store::ledger::JudgedRun;

/// The number of records of one type by their effect.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Effects {
    new: u64,
    changed: u64,
    unchanged: u64,
    older: u64,
    dead: u64,
}

impl Effects {
    /// The effects of a batch.
    fn of(records: &[Applied], dead: u64) -> Self {
        let mut effects = Self { dead, ..Self::default() };
        for record in records {
            match record.effect {
                Effect::New => effects.new += 1,
                Effect::Changed => effects.changed += 1,
                Effect::Unchanged => effects.unchanged += 1,
                Effect::Older => effects.older += 1,
            }
        }
        effects
    }

    /// Adds them to the metrics.
    fn count(self, kind: RecordType) {
        let Self { new, changed, unchanged, older, dead } = self;
        let effects =
            [("new", new), ("changed", changed), ("unchanged", unchanged), ("older", older), ("dead", dead)];
        for (outcome, count) in effects.into_iter().filter(|(_, count)| *count > 0) {
            counter!(names::CONSUMER_RECORDS, "kind" => kind.name(), "outcome" => outcome).increment(count);
        }
    }

    const fn total(self) -> u64 {
        self.new + self.changed + self.unchanged + self.older
    }
}

impl AddAssign for Effects {
    fn add_assign(&mut self, other: Self) {
        self.new += other.new;
        self.changed += other.changed;
        self.unchanged += other.unchanged;
        self.older += other.older;
        self.dead += other.dead;
    }
}

/// The records and runs that this process applied.
pub(crate) struct Summary {
    started: Instant,
    /// When the first record was received, and when the last batch was applied.
    first: Option<Instant>,
    last: Option<Instant>,
    records: BTreeMap<RecordType, Effects>,
    unkeyed: u64,
    runs: Vec<JudgedRun>,
    /// What `check` reports, at the end of a run that has caught up.
    pub(crate) check: Option<Report>,
}

impl Summary {
    pub(crate) fn start() -> Self {
        let records = RecordType::ALL.map(|kind| (kind, Effects::default()));
        let (started, records) = (Instant::now(), records.into());
        Self { started, first: None, last: None, records, unkeyed: 0, runs: Vec::new(), check: None }
    }

    /// Stores when the first record was received.
    pub(crate) fn received(&mut self, now: Instant) {
        self.first.get_or_insert(now);
    }

    /// The time from the first record to the end of the last batch. Joining and leaving the group takes seconds that would
    /// distort the throughput.
    fn elapsed(&self) -> Duration {
        let span = self.first.zip(self.last);
        span.map_or(Duration::ZERO, |(first, last)| last.saturating_duration_since(first))
    }

    /// Adds the result of a batch.
    pub(crate) fn add(&mut self, kind: TopicKind, records: &[Applied], dead: u64, judged: Vec<JudgedRun>) {
        self.last = Some(Instant::now());
        self.runs.extend(judged);
        let TopicKind::Data(kind) = kind else {
            self.unkeyed += dead;
            return;
        };
        let effects = Effects::of(records, dead);
        effects.count(kind);
        *self.records.entry(kind).or_default() += effects;
    }

    /// The number of records that were applied.
    pub(crate) fn total(&self) -> u64 {
        self.records.values().map(|effects| effects.total()).sum()
    }

    /// Prints the summary of a run.
    ///
    /// # Errors
    /// Standard output can't be written.
    pub(crate) fn print(&self, json: bool, caught_up: Option<bool>) -> anyhow::Result<()> {
        let view = self.view(caught_up, false);
        Ok(output::print(json, &view, &view)?)
    }

    /// Prints the summary of a dry run.
    ///
    /// # Errors
    /// Standard output can't be written.
    pub(crate) fn print_dry_run(&self, json: bool, caught_up: bool) -> anyhow::Result<()> {
        let view = self.view(Some(caught_up), true);
        Ok(output::print(json, &view, &view)?)
    }

    /// Prints the summary of a command that failed, and returns the error that the command ends with.
    pub(crate) fn print_failure(
        &self,
        json: bool,
        caught_up: Option<bool>,
        dry_run: bool,
        error: anyhow::Error,
    ) -> anyhow::Error {
        let view = self.view(caught_up, dry_run);
        output::print_failure(json, &view, &view, error)
    }

    fn view(&self, caught_up: Option<bool>, dry_run: bool) -> SummaryView<'_> {
        let (elapsed, total) = (self.elapsed(), self.started.elapsed());
        let Self { records, unkeyed, runs, check, .. } = self;
        let (unkeyed, log_lines_lost, check) = (*unkeyed, lost_lines(), check.as_ref());
        SummaryView { dry_run, records, unkeyed, runs, caught_up, elapsed, total, log_lines_lost, check }
    }
}

/// A summary as it is printed.
#[derive(Serialize)]
struct SummaryView<'a> {
    dry_run: bool,
    records: &'a BTreeMap<RecordType, Effects>,
    /// Dead letters of producers: objects without a usable key.
    unkeyed: u64,
    runs: &'a [JudgedRun],
    /// Whether everything that the topics contained at the start is applied; null without `--until-caught-up`.
    caught_up: Option<bool>,
    /// From the first record to the end of the last batch.
    #[serde(rename = "seconds", serialize_with = "seconds")]
    elapsed: Duration,
    /// From the start of the command, which includes joining the group.
    #[serde(rename = "total_seconds", serialize_with = "seconds")]
    total: Duration,
    /// The number of log lines that could not be written.
    log_lines_lost: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    check: Option<&'a Report>,
}

fn seconds<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}

impl fmt::Display for SummaryView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total: u64 = self.records.values().map(|effects| effects.total()).sum();
        let stopped = if self.caught_up == Some(false) { ", not caught up" } else { "" };
        let (elapsed, total) = (self.elapsed.as_secs_f64(), counted(total, "record", "records"));
        if self.dry_run {
            writeln!(f, "A run would apply {total}; nothing was written ({elapsed:.1} s{stopped}).")?;
        } else {
            writeln!(f, "Applied {total} in {elapsed:.1} s{stopped}.")?;
        }
        writeln!(
            f,
            "  {:10} {:>9} {:>9} {:>9} {:>9} {:>9}",
            "", "new", "changed", "unchanged", "older", "dead"
        )?;
        for (kind, effects) in self.records {
            let Effects { new, changed, unchanged, older, dead } = effects;
            let [new, changed, unchanged, older, dead] =
                [new, changed, unchanged, older, dead].map(|number| human::count(*number));
            let name = kind.name();
            writeln!(f, "  {name:10} {new:>9} {changed:>9} {unchanged:>9} {older:>9} {dead:>9}")?;
        }
        if self.unkeyed > 0 {
            let dead_letters = counted(self.unkeyed, "dead letter", "dead letters");
            writeln!(f, "  {dead_letters} from producers")?;
        }
        for judged in self.runs {
            writeln!(f, "  {judged}")?;
        }
        if self.log_lines_lost > 0 {
            writeln!(f, "  {} lost", counted(self.log_lines_lost, "log line was", "log lines were"))?;
        }
        self.check.iter().try_for_each(|check| writeln!(f, "\n{check}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_elapsed_time_starts_at_the_first_record() {
        let mut summary = Summary::start();
        let first = summary.started + Duration::from_secs(3600);
        summary.received(first);
        summary.received(first + Duration::from_secs(60));
        assert_eq!(summary.elapsed(), Duration::ZERO);
        summary.last = Some(first + Duration::from_secs(90));
        assert_eq!(summary.elapsed(), Duration::from_secs(90));
    }
}
