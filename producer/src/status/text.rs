//! The output of `status` as text. Its table fits 80 columns; errors and missed objects may be longer.

use std::fmt::{self, Display, Write};

use catalog_shared::cursor::Stopped;
use catalog_shared::human;
use catalog_shared::record::RecordType;
use time::macros::format_description;

use super::{Progress, RegionState, Run, State, Status, seconds};

impl Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.topic_exists {
            return write!(f, "Nothing has been crawled: topic {} does not exist.", self.topic);
        }
        for (index, region) in self.regions.iter().enumerate() {
            f.write_str(if index == 0 { "" } else { "\n\n" })?;
            write!(f, "{region}")?;
        }
        Ok(())
    }
}

impl Display for RegionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Some(progress), Some(last)) = (&self.cursor, self.runs.first()) else {
            return write!(f, "Region {}: no run yet.", self.region);
        };
        let silence = progress.age_seconds.map(human::span).unwrap_or_default();
        let age = match progress.age_seconds {
            Some(_) => format!("{silence} ago"),
            None => "at an unknown time".to_owned(),
        };
        let state = match last.state {
            State::Interrupted => format!("was interrupted, last written {age}"),
            State::Silent => format!("has made no progress for {silence} (running or interrupted)"),
            State::InProgress => format!("is in progress, last written {age}"),
            State::Ended | State::Abandoned => format!("ended, {age}"),
        };
        writeln!(f, "Region {}: run {} {state}.", self.region, last.run)?;
        if !matches!(last.state, State::Ended | State::Abandoned) {
            progress.write_open(f)?;
        }
        if !progress.missed.counts.is_nothing() {
            writeln!(f, "  missed  {}", progress.missed)?;
        }
        write!(
            f,
            "  {:>5}  {:5}  {:11}  {:17}  {:>10}  {:>6}  {:>9}",
            "run", "mode", "state", "started", "took", "pages", "objects"
        )?;
        self.runs.iter().try_for_each(|run| write!(f, "\n  {run}"))
    }
}

impl Progress {
    /// The progress of a run that has not ended.
    fn write_open(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (page, covered) = (human::count(self.next_page.into()), self.covered * 100.0);
        writeln!(f, "  cursor  page {page}, {covered:.1} % of the ids covered")?;
        writeln!(f, "  owner   {}", self.instance_id)?;
        match &self.stopped {
            Some(Stopped { error: Some(error), .. }) => writeln!(f, "  error   {error}"),
            Some(Stopped { error: None, .. }) => {
                writeln!(f, "  stopped by a signal; the next crawl resumes it")
            }
            None => Ok(()),
        }
    }
}

impl Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let started = self.started_at.format(format_description!("[year]-[month]-[day] [hour]:[minute]Z"));
        let took =
            self.ended_at.map(|ended| human::span(seconds(ended - self.started_at))).unwrap_or_default();
        let (pages, objects) = (human::count(self.pages.into()), human::count(self.objects));
        let mut line = String::new();
        write!(line, "{:>5}  {:5}  {:11}  ", self.run, self.mode.name(), self.state.name())?;
        write!(line, "{:17}  {took:>10}  {pages:>6}  {objects:>9}", started.unwrap_or_default())?;
        if !self.kinds.contains(&RecordType::Datasets) {
            line.push_str("\n         without datasets");
        }
        f.write_str(&line)
    }
}
