//! The checks. Each query gives two columns: `what` (a row, a run, a partition) and `finding` (what is the
//! matter with it).

use serde::Serialize;

/// How bad it is that a check finds something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Severity {
    /// A state that the consumer's own work never leads to.
    Error,
    /// A person may want to know.
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

/// A query with a name.
#[derive(Serialize)]
pub(super) struct Check {
    pub(super) name: &'static str,
    pub(super) severity: Severity,
    /// What it finds, in words.
    pub(super) says: &'static str,
    #[serde(skip)]
    pub(super) sql: &'static str,
}

macro_rules! check {
    ($severity:ident, $name:literal, $says:literal) => {
        Check {
            name: $name,
            severity: Severity::$severity,
            says: $says,
            sql: include_str!(concat!("../../../sql/verify/", $name, ".sql")),
        }
    };
}

/// All checks, in the order of the report.
pub(super) const CHECKS: [Check; 33] = [
    check!(Error, "datasets_without_stats", "assets without page views and the run that saw them"),
    check!(Error, "stats_without_dataset", "page views of assets that are not there"),
    check!(Error, "datasets_without_host", "assets on a host that is not there"),
    check!(Error, "datasets_without_agency", "assets attributed to an agency that is not there"),
    check!(Error, "agencies_without_host", "agencies on a host that is not there"),
    check!(Error, "foreign_records", "objects that are not their row's"),
    check!(Error, "lost_values", "columns that are not what the object says"),
    check!(Error, "different_hashes", "assets whose content_hash is not the same in both tables"),
    check!(Error, "wrongly_retired", "assets whose retired_at does not follow from the runs"),
    check!(Error, "unknown_runs", "rows of a run that the books don't know"),
    check!(Error, "unbalanced_runs", "balanced runs whose books don't balance"),
    check!(Error, "torn_pages", "runs of whose pages Kafka has committed a part, or one twice"),
    check!(Error, "wrong_sums", "runs whose sums are not those of their partitions"),
    check!(Error, "missing_markers", "runs that were decided before all had arrived"),
    check!(Error, "markers_beyond_positions", "markers that were not consumed"),
    check!(Error, "different_verdicts", "runs that are not what was decided"),
    check!(Error, "wrong_first_runs", "domains whose first full crawl is not the one that the runs name"),
    check!(Note, "held_runs", "runs that wait for a decision: `runs release` or `runs reject`"),
    check!(
        Note,
        "shielded_domains",
        "domains whose missing assets are kept: `runs release --domain` retires them"
    ),
    check!(Note, "beyond_reach", "domains that only crawls with `--domain` find"),
    check!(Note, "scoped_runs", "crawls with `--domain` that saw other domains, or none of one"),
    check!(Note, "bad_domains", "entries of /domains that could not be read"),
    check!(Note, "abandoned_runs", "runs that their producer gave up"),
    check!(Note, "open_runs", "runs of which more is to come"),
    check!(Note, "short_books", "runs that fall short without being held"),
    check!(Note, "open_dead_letters", "records that could not be applied: `dead-letters list` shows them"),
    check!(Note, "unpublished_verdicts", "decisions that are still to be published"),
    check!(Note, "replays", "partitions that are replayed"),
    check!(Note, "skipped_records", "partitions of which records were skipped"),
    check!(
        Note,
        "declared_counts",
        "domains where the last whole crawl saw another number than the API declared"
    ),
    check!(Note, "unlisted_domains", "domains that the API does not list"),
    check!(Note, "unreadable_fields", "fields whose value could not be read, or not whole"),
    check!(Note, "other_revisions", "rows whose form is of another revision than this program's"),
];
