//! What a crawl did, for people or for programs.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::time::Duration;

use catalog_shared::answer;
use catalog_shared::cursor::{Cursor, Mode, Shape};
use catalog_shared::record::Kind;
use catalog_shared::region::Region;
use serde::Serialize;

use crate::cli::CrawlArgs;
use crate::crawl::run;
use crate::report::human;
use crate::report::tally::{Cause, Tally};

/// The end of a crawl command.
#[derive(Serialize)]
pub(crate) struct Summary {
    region: Region,
    /// None in a dry run, and where none was begun.
    run: Option<u32>,
    mode: Mode,
    /// Whether nothing was written: what counts as published would have been.
    dry_run: bool,
    /// Whether the run is published to its end; one that isn't is resumed by the same command.
    whole: bool,
    pages: u32,
    objects: u64,
    published: BTreeMap<Kind, u64>,
    unkeyed: u64,
    skipped: u64,
    // From here on it is what this process did, and not the run.
    requests: u64,
    retries: u64,
    retries_by_cause: BTreeMap<Cause, u64>,
    bytes: u64,
    seconds: f64,
    requests_per_second: f64,
    /// How long requests waited for the limiter, all lanes together.
    limiter_seconds: f64,
}

impl Summary {
    pub(crate) fn new(args: &CrawlArgs, cursor: &Cursor, whole: bool, tally: &Tally, took: Duration) -> Self {
        let sum = |(kind, counts): (&Kind, &Vec<u64>)| (*kind, counts.iter().sum());
        let (requests, retries_by_cause) = (tally.requests(), tally.retries());
        Self {
            region: cursor.region,
            run: (!args.dry_run).then_some(cursor.run),
            mode: cursor.shape.mode,
            dry_run: args.dry_run,
            whole,
            pages: cursor.next_page,
            objects: cursor.objects,
            published: cursor.published.iter().map(sum).collect(),
            unkeyed: cursor.unkeyed,
            skipped: cursor.skipped,
            requests,
            retries: retries_by_cause.values().sum(),
            retries_by_cause,
            bytes: tally.bytes(),
            seconds: took.as_secs_f64(),
            requests_per_second: requests as f64 / took.as_secs_f64().max(f64::EPSILON),
            limiter_seconds: tally.limiter().as_secs_f64(),
        }
    }

    /// Of a command that was asked to stop before it had claimed the region.
    pub(crate) fn not_begun(args: &CrawlArgs, shape: Shape, tally: &Tally, took: Duration) -> Self {
        let none = run::fresh(args.region, shape, 0, &BTreeMap::new());
        Self { run: None, ..Self::new(args, &none, false, tally, took) }
    }

    pub(crate) fn print(&self, json: bool) -> anyhow::Result<()> {
        Ok(answer::print(json, self, self)?)
    }

    /// What this process did, as against the whole run.
    fn write_effort(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (megabytes, rate) = (self.bytes as f64 / 1e6, self.requests_per_second);
        let (requests, seconds) = (human::count(self.requests), self.seconds);
        writeln!(
            f,
            "  this time  {requests} requests, {megabytes:.1} MB in {seconds:.1} s: {rate:.1} requests/s"
        )?;
        let causes: Vec<String> = self
            .retries_by_cause
            .iter()
            .map(|(cause, count)| format!("{} {}", human::count(*count), cause.name()))
            .collect();
        let causes = if causes.is_empty() { String::new() } else { format!(" ({})", causes.join(", ")) };
        writeln!(f, "  retries    {}{causes}", human::count(self.retries))?;
        write!(f, "  waited     {:.1} s for the limiter, all lanes together", self.limiter_seconds)
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.run.is_none() && !self.dry_run {
            return write!(f, "No run of {} was begun or resumed: asked to stop before that.", self.region);
        }
        let state = match (self.whole, self.dry_run) {
            (true, false) => "ended.",
            (false, false) => "was interrupted; the same command resumes it.",
            (true, true) => "ended; nothing was written.",
            (false, true) => "was interrupted; nothing was written.",
        };
        let mut kinds = String::new();
        for (kind, count) in &self.published {
            let separator = if kinds.is_empty() { "" } else { ", " };
            write!(kinds, "{separator}{} {kind}", human::count(*count))?;
        }
        let mode = if self.mode == Mode::Full { String::new() } else { format!(" ({})", self.mode.name()) };
        let run = self.run.map_or("Dry run".to_owned(), |run| format!("Run {run}"));
        writeln!(f, "{run} of {}{mode} {state}", self.region)?;
        let published = if self.dry_run { "would have published " } else { "published " };
        writeln!(f, "  {published} {kinds} in {} pages", human::count(self.pages.into()))?;
        if self.unkeyed > 0 {
            writeln!(
                f,
                "  no record  {} objects without a usable id or domain (dead letters)",
                human::count(self.unkeyed)
            )?;
        }
        if self.skipped > 0 {
            let skipped = human::count(self.skipped);
            writeln!(f, "  no answer  {skipped} objects that could not be had, not even alone")?;
        }
        self.write_effort(f)
    }
}
