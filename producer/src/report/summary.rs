//! The summary of a crawl, as text or JSON.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use catalog_shared::cursor::{Cursor, Mode, RunParameters};
use catalog_shared::human::{self, counted};
use catalog_shared::log_writer::lost_lines;
use catalog_shared::output;
use catalog_shared::record::RecordType;
use catalog_shared::region::Region;
use serde::Serialize;
use time::OffsetDateTime;

use crate::config::CrawlArgs;
use crate::progress::counters::{Counters, RequestFailure};
use crate::report::findings::{self, SummaryWarning};
use crate::report::missed::MissedReport;
use crate::report::scope;
use crate::run::lifecycle;

/// How a crawl ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The run is complete.
    Complete,
    /// A signal asked it to stop.
    Interrupted,
    /// The command ended with an error.
    Failed,
}

/// The summary of a crawl command.
#[derive(Serialize)]
pub(crate) struct Summary {
    region: Region,
    /// None in a dry run, and if no run was started.
    run: Option<u32>,
    mode: Mode,
    /// Whether nothing was written. Then `published` is what would have been published.
    dry_run: bool,
    /// Whether the run is complete.
    whole: bool,
    /// Whether the command ended with an error.
    failed: bool,
    /// How an incomplete run is resumed.
    #[serde(skip)]
    resume: &'static str,
    pages: u32,
    objects: u64,
    published: BTreeMap<RecordType, u64>,
    #[serde(flatten)]
    missed: MissedReport,
    /// A note about the domains of a run over domains.
    note: Option<String>,
    /// What `check` would find about the region. Empty in a dry run.
    findings: Vec<SummaryWarning>,
    // The fields from here on are about this process and not about the run.
    requests: u64,
    retries: u64,
    retries_by_cause: BTreeMap<RequestFailure, u64>,
    bytes: u64,
    /// Since the first request.
    seconds: f64,
    requests_per_second: f64,
    /// How long requests waited for the rate limiter, summed over all lanes.
    limiter_seconds: f64,
    /// How long requests waited before retries, summed over all lanes.
    paused_seconds: f64,
    /// The number of log lines that could not be written.
    log_lines_lost: u64,
}

impl Summary {
    pub(crate) fn new(args: &CrawlArgs, cursor: &Cursor, end: End, counters: &Counters) -> Self {
        let sum = |(kind, counts): (&RecordType, &Vec<u64>)| (*kind, counts.iter().sum());
        let (requests, retries_by_cause) = (counters.requests(), counters.retries());
        let (seconds, waits) = (counters.elapsed().as_secs_f64(), counters.waits());
        Self {
            region: cursor.region,
            run: (!args.dry_run).then_some(cursor.run),
            mode: cursor.parameters.mode,
            dry_run: args.dry_run,
            whole: end == End::Complete,
            failed: end == End::Failed,
            resume: resumed_by(args),
            pages: cursor.next_page,
            objects: cursor.objects,
            published: cursor.published.iter().map(sum).collect(),
            missed: MissedReport::from(&cursor.missed),
            note: scope::domain_mismatch(cursor),
            findings: if args.dry_run { Vec::new() } else { findings::of(cursor, OffsetDateTime::now_utc()) },
            requests,
            retries: retries_by_cause.values().sum(),
            retries_by_cause,
            bytes: counters.bytes(),
            seconds,
            requests_per_second: if seconds > 0.0 { requests as f64 / seconds } else { 0.0 },
            limiter_seconds: waits.limiter.as_secs_f64(),
            paused_seconds: waits.paused.as_secs_f64(),
            log_lines_lost: lost_lines(),
        }
    }

    /// The summary of a command that ended before it claimed the region.
    pub(crate) fn without_run(
        args: &CrawlArgs,
        parameters: RunParameters,
        end: End,
        counters: &Counters,
    ) -> Self {
        let cursor = lifecycle::new_cursor(args.api.region, parameters, 0, &BTreeMap::new());
        Self { run: None, ..Self::new(args, &cursor, end, counters) }
    }

    pub(crate) fn print(&self, json: bool) -> anyhow::Result<()> {
        Ok(output::print(json, self, self)?)
    }

    /// Like [`Summary::print`], for a failed crawl. Returns the error to end with.
    pub(crate) fn print_failure(&self, json: bool, error: anyhow::Error) -> anyhow::Error {
        output::print_failure(json, self, self, error)
    }

    fn write_missed(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unkeyed, skipped) = (self.missed.counts.unkeyed, self.missed.counts.skipped);
        if unkeyed > 0 {
            let unkeyed = counted(unkeyed, "object", "objects");
            writeln!(f, "  no record  {unkeyed} without a usable key (dead letters)")?;
        }
        if skipped > 0 {
            let skipped = counted(skipped, "object", "objects");
            writeln!(f, "  skipped    {skipped} in no readable response")?;
        }
        if !self.missed.counts.is_nothing() {
            writeln!(f, "  of these   {}", self.missed)?;
        }
        self.note.iter().try_for_each(|note| writeln!(f, "  note       {note}"))
    }

    /// What this process did, in contrast to the whole run.
    fn write_effort(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (megabytes, rate) = (self.bytes as f64 / 1e6, self.requests_per_second);
        let (requests, seconds) = (counted(self.requests, "request", "requests"), self.seconds);
        writeln!(f, "  this time  {requests}, {megabytes:.1} MB in {seconds:.1} s: {rate:.1} requests/s")?;
        let causes: Vec<String> = self
            .retries_by_cause
            .iter()
            .map(|(cause, count)| format!("{} {}", human::count(*count), cause.name()))
            .collect();
        let causes = if causes.is_empty() { String::new() } else { format!(" ({})", causes.join(", ")) };
        writeln!(f, "  retries    {}{causes}", human::count(self.retries))?;
        let (limiter, paused) = (self.limiter_seconds, self.paused_seconds);
        write!(
            f,
            "  waited     {limiter:.1} s for the rate limiter, {paused:.1} s before retries (sum of all lanes)"
        )?;
        match self.log_lines_lost {
            0 => Ok(()),
            lost => write!(f, "\n  log        {} lost", counted(lost, "line was", "lines were")),
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.run.is_none() && !self.dry_run {
            let cause = if self.failed { "an error" } else { "a signal" };
            return write!(f, "No run of {} was started or resumed because of {cause}.", self.region);
        }
        let state = match (self.whole, self.failed) {
            (true, _) => "is complete",
            (false, true) => "failed",
            (false, false) => "was interrupted",
        };
        let consequence = match (self.whole, self.dry_run) {
            (_, true) => "; nothing was written.".to_owned(),
            (true, false) => ".".to_owned(),
            (false, false) => format!("; {}.", self.resume),
        };
        let mut kinds = String::new();
        for (kind, count) in &self.published {
            let separator = if kinds.is_empty() { "" } else { ", " };
            write!(kinds, "{separator}{}", of_kind(*count, *kind))?;
        }
        let mode = if self.mode == Mode::Full { String::new() } else { format!(" ({})", self.mode.name()) };
        let run = self.run.map_or("Dry run".to_owned(), |run| format!("Run {run}"));
        writeln!(f, "{run} of {}{mode} {state}{consequence}", self.region)?;
        let published = if self.dry_run { "would have published " } else { "published " };
        writeln!(f, "  {published} {kinds} in {}", counted(self.pages.into(), "page", "pages"))?;
        self.write_missed(f)?;
        self.findings.iter().try_for_each(|finding| writeln!(f, "  check      {}", finding.found))?;
        self.write_effort(f)
    }
}

/// How an incomplete run is resumed. `--restart` would discard it.
pub(crate) const fn resumed_by(args: &CrawlArgs) -> &'static str {
    if args.restart { "the same command without --restart resumes it" } else { "the same command resumes it" }
}

fn of_kind(number: u64, kind: RecordType) -> String {
    let one = match kind {
        RecordType::Datasets => "dataset",
        RecordType::Domains => "domain",
        RecordType::Hosts => "host",
        RecordType::Agencies => "agency",
    };
    counted(number, one, kind.name())
}

#[cfg(test)]
mod tests {
    use catalog_shared::missed::Missed;

    use super::*;
    use crate::config::crawl::tests::parse;

    fn summary() -> Summary {
        Summary {
            region: Region::Us,
            run: Some(7),
            mode: Mode::Since,
            dry_run: false,
            whole: true,
            failed: false,
            resume: "the same command resumes it",
            pages: 1_002,
            objects: 5_000,
            published: BTreeMap::from([(RecordType::Datasets, 5_000), (RecordType::Domains, 44)]),
            missed: MissedReport::from(&Missed {
                skipped: 2,
                unread_ids: vec!["aaaa-aaaa".into()],
                ..Missed::default()
            }),
            note: Some("a note".into()),
            findings: Vec::new(),
            requests: 1_200,
            retries: 198,
            retries_by_cause: BTreeMap::from([
                (RequestFailure::Throttled, 190),
                (RequestFailure::TooLarge, 8),
            ]),
            bytes: 20_340_000,
            seconds: 600.04,
            requests_per_second: 2.0,
            limiter_seconds: 590.0,
            paused_seconds: 31.25,
            log_lines_lost: 0,
        }
    }

    #[test]
    fn the_text_contains_everything() {
        let text = "Run 7 of us (since) is complete.\n  \
             published  5,000 datasets, 44 domains in 1,002 pages\n  \
             skipped    2 objects in no readable response\n  \
             of these   1 with an id (aaaa-aaaa); 1 with unknown id and domain, so the run retires nothing\n  \
             note       a note\n  \
             this time  1,200 requests, 20.3 MB in 600.0 s: 2.0 requests/s\n  \
             retries    198 (190 throttled, 8 too large)\n  \
             waited     590.0 s for the rate limiter, 31.2 s before retries (sum of all lanes)";
        assert_eq!(summary().to_string(), text);
    }

    #[test]
    fn singular_forms_and_lost_log_lines_are_shown() {
        let published = BTreeMap::from([(RecordType::Agencies, 1)]);
        let missed = MissedReport::from(&Missed { skipped: 1, ..Missed::default() });
        let one = Summary { pages: 1, missed, requests: 1, log_lines_lost: 1, published, ..summary() };
        let text = one.to_string();
        for line in ["1 agency in 1 page\n", "1 object in", "1 request,", "1 line was lost"] {
            assert!(text.contains(line), "{text}");
        }
    }

    #[test]
    fn a_run_of_restart_is_resumed_without_it() {
        let cursor = lifecycle::new_cursor(Region::Us, RunParameters::full(), 7, &BTreeMap::new());
        let args = parse(&["--restart"]);
        let text = Summary::new(&args, &cursor, End::Interrupted, &Counters::default()).to_string();
        assert!(text.contains("interrupted; the same command without --restart resumes it."), "{text}");
    }

    #[test]
    fn the_first_line_shows_how_the_crawl_ended() {
        let first = |whole, failed, dry_run| {
            let summary = Summary { whole, failed, dry_run, mode: Mode::Full, ..summary() };
            summary.to_string().lines().next().map(str::to_owned).unwrap_or_default()
        };
        assert_eq!(first(true, false, false), "Run 7 of us is complete.");
        assert_eq!(first(false, false, false), "Run 7 of us was interrupted; the same command resumes it.");
        assert_eq!(first(false, true, false), "Run 7 of us failed; the same command resumes it.");
        assert_eq!(first(false, true, true), "Run 7 of us failed; nothing was written.");
    }
}
