//! What a consumer did, for people or for programs.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use catalog_shared::answer;
use catalog_shared::human::{self, counted};
use catalog_shared::log_writer::lost_lines;
use catalog_shared::record::RecordType;
use serde::Serialize;

use crate::model::effect::{Applied, Effect};
use crate::model::topic::TopicKind;
use crate::store::ledger::JudgedRun;

/// What became of the records of a kind.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Effects {
    new: u64,
    changed: u64,
    unchanged: u64,
    older: u64,
    dead: u64,
}

impl Effects {
    const fn total(self) -> u64 {
        self.new + self.changed + self.unchanged + self.older
    }
}

/// What this process applied.
pub(crate) struct Summary {
    started: Instant,
    /// When the first record was received, and when the last batch had been applied.
    first: Option<Instant>,
    last: Option<Instant>,
    records: BTreeMap<RecordType, Effects>,
    unkeyed: u64,
    runs: Vec<JudgedRun>,
}

impl Summary {
    pub(crate) fn start() -> Self {
        let records = RecordType::ALL.map(|kind| (kind, Effects::default()));
        let (started, records) = (Instant::now(), records.into());
        Self { started, first: None, last: None, records, unkeyed: 0, runs: Vec::new() }
    }

    /// Notes that a record was received.
    pub(crate) fn received(&mut self, now: Instant) {
        self.first.get_or_insert(now);
    }

    /// How long records were worked on. To join a group and to leave it takes seconds of its own, which say
    /// nothing of the work.
    fn took(&self) -> Duration {
        let span = self.first.zip(self.last);
        span.map_or(Duration::ZERO, |(first, last)| last.saturating_duration_since(first))
    }

    /// Adds what came of a batch.
    pub(crate) fn add(
        &mut self,
        kind: TopicKind,
        records: &[Applied],
        dead: u64,
        judged_runs: Vec<JudgedRun>,
    ) {
        self.last = Some(Instant::now());
        judged_runs.iter().for_each(JudgedRun::log);
        self.runs.extend(judged_runs);
        let TopicKind::Data(kind) = kind else {
            self.unkeyed += dead;
            return;
        };
        let effects = self.records.entry(kind).or_default();
        effects.dead += dead;
        for record in records {
            match record.effect {
                Effect::New => effects.new += 1,
                Effect::Changed => effects.changed += 1,
                Effect::Unchanged => effects.unchanged += 1,
                Effect::Older => effects.older += 1,
            }
        }
    }

    /// How many records were applied.
    pub(crate) fn total(&self) -> u64 {
        self.records.values().map(|effects| effects.total()).sum()
    }

    pub(crate) fn print(&self, json: bool, caught_up: Option<bool>) -> anyhow::Result<()> {
        let view = self.view(caught_up, false);
        Ok(answer::print(json, &view, &view)?)
    }

    /// As [`Summary::print`], of what was not done.
    pub(crate) fn print_dry(&self, json: bool, caught_up: bool) -> anyhow::Result<()> {
        let view = self.view(Some(caught_up), true);
        Ok(answer::print(json, &view, &view)?)
    }

    /// As the two before it, of a command that fails; gives the error to end with.
    pub(crate) fn print_failure(
        &self,
        json: bool,
        (caught_up, dry_run): (Option<bool>, bool),
        error: anyhow::Error,
    ) -> anyhow::Error {
        let view = self.view(caught_up, dry_run);
        answer::print_failure(json, &view, &view, error)
    }

    fn view(&self, caught_up: Option<bool>, dry_run: bool) -> View<'_> {
        let (took, total) = (self.took(), self.started.elapsed());
        let Self { records, unkeyed, runs, .. } = self;
        let (unkeyed, log_lines_lost) = (*unkeyed, lost_lines());
        View { dry_run, records, unkeyed, runs, caught_up, took, total, log_lines_lost }
    }
}

#[derive(Serialize)]
struct View<'a> {
    dry_run: bool,
    records: &'a BTreeMap<RecordType, Effects>,
    /// Dead letters of producers: objects that no record could be made of.
    unkeyed: u64,
    runs: &'a [JudgedRun],
    /// Whether all is applied that was there at the start; none where that was not asked for.
    caught_up: Option<bool>,
    /// From the first record to the end of the last batch.
    #[serde(rename = "seconds", serialize_with = "seconds")]
    took: Duration,
    /// From before the group was joined.
    #[serde(rename = "total_seconds", serialize_with = "seconds")]
    total: Duration,
    /// How many log lines could not be written.
    log_lines_lost: u64,
}

fn seconds<S: serde::Serializer>(took: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(took.as_secs_f64())
}

impl fmt::Display for View<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total: u64 = self.records.values().map(|effects| effects.total()).sum();
        let stopped = if self.caught_up == Some(false) { ", not caught up" } else { "" };
        let (took, total) = (self.took.as_secs_f64(), counted(total, "record", "records"));
        if self.dry_run {
            writeln!(f, "A run would apply {total}; nothing was written ({took:.1} s{stopped}).")?;
        } else {
            writeln!(f, "Applied {total} in {took:.1} s{stopped}.")?;
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
            let letters = counted(self.unkeyed, "dead letter", "dead letters");
            writeln!(f, "  {letters} of producers arrived")?;
        }
        for judged in self.runs {
            writeln!(f, "  {judged}")?;
        }
        if self.log_lines_lost > 0 {
            writeln!(f, "  {} lost", counted(self.log_lines_lost, "log line was", "log lines were"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_counted_from_the_first_record_and_not_from_the_start() {
        let mut summary = Summary::start();
        let first = summary.started + Duration::from_secs(3600);
        summary.received(first);
        summary.received(first + Duration::from_secs(60));
        assert_eq!(summary.took(), Duration::ZERO);
        summary.last = Some(first + Duration::from_secs(90));
        assert_eq!(summary.took(), Duration::from_secs(90));
    }
}
