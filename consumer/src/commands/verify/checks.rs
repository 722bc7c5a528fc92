//! The checks. Each query returns two columns: `what` (a row, a run or a partition) and `finding` (the problem).

use serde::Serialize;

/// The severity of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Severity {
    /// A state that the consumer never produces.
    Error,
    /// A state that may need attention.
    Note,
}

impl Severity {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Note => "note",
        }
    }
}

/// A named query.
#[derive(Serialize)]
pub(super) struct Check {
    pub(super) name: &'static str,
    pub(super) severity: Severity,
    /// What it finds.
    #[serde(rename = "says")]
    pub(super) description: &'static str,
    #[serde(skip)]
    pub(super) sql: &'static str,
}

macro_rules! check {
    ($severity:ident, $name:literal, $description:literal) => {
        Check {
            name: $name,
            severity: Severity::$severity,
            description: $description,
            sql: include_str!(concat!("../../../sql/verify/", $name, ".sql")),
        }
    };
}

/// All checks, in the order of the report.
pub(super) const CHECKS: [Check; 33] = [
    check!(Error, "datasets_without_stats", "assets without page views and the run that saw them"),
    check!(Error, "stats_without_dataset", "page views of assets that don't exist"),
    check!(Error, "datasets_without_host", "assets on a host that doesn't exist"),
    check!(Error, "datasets_without_agency", "assets attributed to an agency that doesn't exist"),
    check!(Error, "agencies_without_host", "agencies on a host that doesn't exist"),
    check!(Error, "foreign_records", "rows with the object of another asset, or with counters in the object"),
    check!(Error, "lost_values", "columns that differ from the object"),
    check!(Error, "different_hashes", "assets whose content_hash differs between the two tables"),
    check!(Error, "wrongly_retired", "assets whose retired_at does not follow from the runs"),
    check!(Error, "unknown_runs", "rows of a run that the ledger does not contain"),
    check!(Error, "unbalanced_runs", "balanced runs with an incomplete ledger"),
    check!(Error, "torn_pages", "runs with a page that Kafka committed in part or twice"),
    check!(Error, "wrong_sums", "runs whose sums differ from the sums of their partitions"),
    check!(Error, "missing_markers", "runs that were decided before all end-of-run records had arrived"),
    check!(Error, "markers_beyond_positions", "end-of-run records beyond the stored position"),
    check!(Error, "different_verdicts", "runs whose state differs from their decision"),
    check!(
        Error,
        "wrong_first_runs",
        "domains whose first full crawl differs from the one that the runs name"
    ),
    check!(Note, "held_runs", "runs on hold: decide with `runs approve` or `runs decline`"),
    check!(
        Note,
        "shielded_domains",
        "domains whose missing assets are kept: `runs approve --domain` retires them"
    ),
    check!(Note, "beyond_reach", "domains that only crawls with `--domain` find"),
    check!(Note, "scoped_runs", "crawls with `--domain` that saw other domains, or missed one of theirs"),
    check!(Note, "bad_domains", "entries of /domains that could not be read"),
    check!(Note, "abandoned_runs", "runs that their producer abandoned"),
    check!(Note, "open_runs", "runs that have not ended"),
    check!(Note, "short_books", "runs with missing records that are not on hold"),
    check!(Note, "open_dead_letters", "records that could not be applied: `dead-letters list` shows them"),
    check!(Note, "unpublished_verdicts", "decisions that are not published yet"),
    check!(Note, "replays", "partitions that are replayed"),
    check!(Note, "skipped_records", "partitions with skipped records"),
    check!(
        Note,
        "declared_counts",
        "domains where the last full crawl saw another number of assets than the API declared"
    ),
    check!(Note, "unlisted_domains", "domains that the API never listed"),
    check!(Note, "unreadable_fields", "fields whose value could not be read completely"),
    check!(Note, "other_revisions", "rows whose form has another revision than this build"),
];
