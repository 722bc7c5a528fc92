//! What a crawl did, for people or for programs.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use catalog_shared::cursor::{Cursor, Mode};
use catalog_shared::record::Kind;
use catalog_shared::region::Region;
use serde::Serialize;

use crate::cli::CrawlArgs;

/// What this process asked of the API.
#[derive(Default)]
pub(crate) struct Tally {
    requests: AtomicU64,
    retries: AtomicU64,
    bytes: AtomicU64,
}

impl Tally {
    pub(crate) fn requested(&self) {
        self.requests.fetch_add(1, Relaxed);
    }

    pub(crate) fn retried(&self) {
        self.retries.fetch_add(1, Relaxed);
    }

    pub(crate) fn received(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Relaxed);
    }
}

/// The end of a crawl command.
#[derive(Serialize)]
pub(crate) struct Summary {
    region: Region,
    /// None in a dry run.
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
    requests: u64,
    retries: u64,
    bytes: u64,
    seconds: f64,
}

impl Summary {
    pub(crate) fn new(args: &CrawlArgs, cursor: &Cursor, whole: bool, tally: &Tally, took: Duration) -> Self {
        let sum = |(kind, counts): (&Kind, &Vec<u64>)| (*kind, counts.iter().sum());
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
            requests: tally.requests.load(Relaxed),
            retries: tally.retries.load(Relaxed),
            bytes: tally.bytes.load(Relaxed),
            seconds: took.as_secs_f64(),
        }
    }

    #[allow(clippy::print_stdout, reason = "the summary is the command's answer")]
    pub(crate) fn print(&self, json: bool) -> anyhow::Result<()> {
        if json {
            println!("{}", serde_json::to_string(self)?);
        } else {
            println!("{self}");
        }
        Ok(())
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match (self.whole, self.dry_run) {
            (true, false) => "ended.",
            (false, false) => "was interrupted; the same command resumes it.",
            (true, true) => "ended; nothing was written.",
            (false, true) => "was interrupted; nothing was written.",
        };
        let mut kinds = String::new();
        for (kind, count) in &self.published {
            let separator = if kinds.is_empty() { "" } else { ", " };
            write!(kinds, "{separator}{count} {kind}")?;
        }
        let mode = if self.mode == Mode::Full { String::new() } else { format!(" ({})", self.mode.name()) };
        let run = self.run.map_or("Dry run".to_owned(), |run| format!("Run {run}"));
        writeln!(f, "{run} of {}{mode} {state}", self.region)?;
        let published = if self.dry_run { "would have published " } else { "published " };
        writeln!(f, "  {published} {kinds} in {} pages", self.pages)?;
        if self.unkeyed > 0 {
            writeln!(
                f,
                "  no record  {} objects without a usable id or domain (dead letters)",
                self.unkeyed
            )?;
        }
        let megabytes = self.bytes as f64 / 1e6;
        write!(f, "  this time  {} requests, {} retries, ", self.requests, self.retries)?;
        write!(f, "{megabytes:.1} MB in {:.1} s", self.seconds)
    }
}
