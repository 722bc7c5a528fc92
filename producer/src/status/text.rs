//! The answer of `status` for people. Its table fits 80 columns; errors and what was missed may be longer.

use std::fmt::{self, Display, Write};

use catalog_shared::cursor::Stopped;
use catalog_shared::human;
use catalog_shared::record::Kind;
use time::macros::format_description;

use super::{Place, Run, Standing, State, Status, seconds};

impl Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.topic_exists {
            return write!(f, "Nothing has been crawled: there is no topic {}.", self.topic);
        }
        for (index, region) in self.regions.iter().enumerate() {
            f.write_str(if index == 0 { "" } else { "\n\n" })?;
            write!(f, "{region}")?;
        }
        Ok(())
    }
}

impl Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Some(place), Some(last)) = (&self.cursor, self.runs.first()) else {
            return write!(f, "Region {}: no run yet.", self.region);
        };
        let age = place
            .age_seconds
            .map_or_else(|| "at an unknown time".to_owned(), |age| format!("{} ago", human::span(age)));
        let run = last.run;
        match last.state {
            State::Interrupted => {
                writeln!(f, "Region {}: run {run} was interrupted, last written {age}.", self.region)?
            }
            State::InProgress => {
                writeln!(f, "Region {}: run {run} is in progress, last written {age}.", self.region)?
            }
            _ => writeln!(f, "Region {}: run {run} ended, {age}.", self.region)?,
        }
        if matches!(last.state, State::Interrupted | State::InProgress) {
            place.write_open(f)?;
        }
        if !place.missed.is_nothing() {
            writeln!(f, "  missed  {}", place.missed)?;
        }
        write!(
            f,
            "  {:>5}  {:5}  {:11}  {:17}  {:>10}  {:>6}  {:>9}",
            "run", "mode", "state", "began", "took", "pages", "objects"
        )?;
        self.runs.iter().try_for_each(|run| write!(f, "\n  {run}"))
    }
}

impl Place {
    /// Where a run stands that has not ended.
    fn write_open(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (page, covered) = (human::count(self.next_page.into()), self.covered * 100.0);
        writeln!(f, "  cursor  page {page}, {covered:.1} % of the ids covered")?;
        writeln!(f, "  owner   {}", self.owner)?;
        match &self.stopped {
            Some(Stopped { error: Some(error), .. }) => writeln!(f, "  error   {error}"),
            Some(Stopped { error: None, .. }) => {
                writeln!(f, "  ended by a signal; the next crawl resumes it")
            }
            None => Ok(()),
        }
    }
}

impl Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let began = self.started_at.format(format_description!("[year]-[month]-[day] [hour]:[minute]Z"));
        let took =
            self.ended_at.map(|ended| human::span(seconds(ended - self.started_at))).unwrap_or_default();
        let (pages, objects) = (human::count(self.pages.into()), human::count(self.objects));
        let mut line = String::new();
        write!(line, "{:>5}  {:5}  {:11}  ", self.run, self.mode.name(), self.state.name())?;
        write!(line, "{:17}  {took:>10}  {pages:>6}  {objects:>9}", began.unwrap_or_default())?;
        if !self.kinds.contains(&Kind::Datasets) {
            line.push_str("\n         without datasets");
        }
        f.write_str(&line)
    }
}
