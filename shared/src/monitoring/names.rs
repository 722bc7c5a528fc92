//! Every metric of both programs: its name, its labels and what it means. `docs/reference/metrics.md` says which question
//! each one answers, and a test compares that page, this file and what the programs emit.
//!
//! Names follow Prometheus: base units, and `_total` for counters. Labels have few values: region, topic, partition, kind,
//! outcome, stage and cause.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

/// The type of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// Only grows, from 0 at the program's start.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Durations in buckets.
    Histogram,
}

/// A metric.
#[derive(Debug)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub kind: MetricKind,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What it means, in one sentence.
    pub help: &'static str,
}

impl Metric {
    /// Sets the help text of the metric in the current recorder.
    pub fn describe(&self) {
        match self.kind {
            MetricKind::Counter => describe_counter!(self.name, self.help),
            MetricKind::Gauge => describe_gauge!(self.name, self.help),
            MetricKind::Histogram => describe_histogram!(self.name, Unit::Seconds, self.help),
        }
    }
}

macro_rules! metrics {
    ($($name:ident = $kind:ident $id:literal [$($label:literal),*]: $help:literal;)+) => {
        $(#[doc = $help] pub const $name: &str = $id;)+

        /// Every metric.
        pub const ALL: &[Metric] = &[
            $(Metric { name: $id, kind: MetricKind::$kind, labels: &[$($label),*], help: $help }),+
        ];
    };
}

metrics! {
    CONSUMER_RECORDS = Counter "catalog_consumer_records_total" ["kind", "outcome"]:
        "Records in committed batches, by record type and effect.";
    CONSUMER_BATCHES = Counter "catalog_consumer_batches_total" ["outcome"]:
        "Finished batches: applied, stale (another consumer moved the position) or abandoned.";
    CONSUMER_BATCH_STAGE = Histogram "catalog_consumer_batch_stage_seconds" ["stage"]:
        "Time of the stages of batches.";
    CONSUMER_BATCH_RETRIES = Counter "catalog_consumer_batch_retries_total" ["cause"]:
        "Attempts to apply a batch that failed and were repeated.";
    CONSUMER_REBALANCES = Counter "catalog_consumer_rebalances_total" ["outcome"]:
        "Changes of the assignment: assigned, revoked, or lost without notice.";
    CONSUMER_PARTITIONS = Gauge "catalog_consumer_assigned_partitions" []:
        "Partitions that are assigned to this consumer.";
    CONSUMER_LAG_RECORDS = Gauge "catalog_consumer_lag_records" ["topic", "partition"]:
        "Offsets between the position and the end of committed records, in assigned partitions.";
    CONSUMER_LAG_SECONDS = Gauge "catalog_consumer_lag_seconds" ["topic", "partition"]:
        "Age of the oldest record that is not applied yet, in assigned partitions; 0 when caught up.";
    CONSUMER_WAIT = Gauge "catalog_consumer_wait_seconds" ["cause"]:
        "How long the consumer has been waiting for something that a restart would not change; 0 when it does not wait.";
    CONSUMER_HEALTHY = Gauge "catalog_consumer_healthy" []:
        "1 if /healthz answers 200, otherwise 0.";
    CONSUMER_READY = Gauge "catalog_consumer_ready" []:
        "1 if /readyz answers 200, otherwise 0.";
    CONSUMER_LEDGER_AGE = Gauge "catalog_consumer_ledger_age_seconds" []:
        "Time since the ledger was last read for the metrics of regions and runs.";
    CONSUMER_FULL_RUN_AGE = Gauge "catalog_consumer_last_full_run_age_seconds" ["region"]:
        "Time since the end of the last judged full crawl of datasets, whatever the decision.";
    CONSUMER_HELD_RUNS = Gauge "catalog_consumer_held_runs" ["region"]:
        "Runs on hold, which retire nothing until a person decides.";
    CONSUMER_DEAD_LETTERS = Gauge "catalog_consumer_open_dead_letters" ["topic"]:
        "Dead letters that are neither replayed nor discarded.";
    CONSUMER_LAST_RUN = Gauge "catalog_consumer_last_run_number" ["region"]:
        "Number of the last run that ended.";
    CONSUMER_LAST_RUN_AGE = Gauge "catalog_consumer_last_run_age_seconds" ["region"]:
        "Time since the end of the last run, of any mode.";
    CONSUMER_LAST_RUN_DURATION = Gauge "catalog_consumer_last_run_duration_seconds" ["region"]:
        "Time from the start to the end of the last run.";
    CONSUMER_LAST_RUN_RECORDS = Gauge "catalog_consumer_last_run_records" ["region", "outcome"]:
        "Records of the last run: published, applied and dead, and the datasets that it retired.";
    CONSUMER_LOG_LINES_DROPPED = Counter "catalog_consumer_log_lines_dropped_total" []:
        "Log lines that could not be written.";
    PRODUCER_PAGES = Counter "catalog_producer_pages_total" ["region"]:
        "Pages in committed transactions.";
    PRODUCER_OBJECTS = Counter "catalog_producer_objects_total" ["region", "kind"]:
        "Records in committed transactions, by record type; dead-letters are objects without a usable key.";
    PRODUCER_REQUESTS = Counter "catalog_producer_requests_total" ["region", "outcome"]:
        "Requests to the API by outcome: ok, or the cause of the failure.";
    PRODUCER_BYTES = Counter "catalog_producer_received_bytes_total" ["region"]:
        "Bytes of answers of the API, after decompression.";
    PRODUCER_WAIT = Counter "catalog_producer_wait_seconds_total" ["region", "cause"]:
        "Time of waits, summed over all lanes: for the rate limit, before retries, and for Kafka.";
    PRODUCER_TRANSACTIONS = Counter "catalog_producer_transactions_total" ["region", "outcome"]:
        "Transactions in Kafka: committed or failed.";
    PRODUCER_TRANSACTION = Histogram "catalog_producer_transaction_seconds" ["region"]:
        "Time of committed transactions, from the first record to the commit.";
    PRODUCER_COVERED = Gauge "catalog_producer_covered_ratio" ["region"]:
        "Share of the id space that the current run has covered, 0 to 1.";
    PRODUCER_NEXT_SLOT = Gauge "catalog_producer_next_slot_seconds" ["region"]:
        "Time until the next crawl of --every starts; negative while a crawl runs past that time.";
    PRODUCER_MISSED_SLOTS = Counter "catalog_producer_missed_slots_total" ["region"]:
        "Slots of --every without a crawl, because another one was still running or the machine was suspended.";
    PRODUCER_CRAWLS = Counter "catalog_producer_crawls_total" ["region", "outcome"]:
        "Ended crawls of --every: complete or failed.";
    PRODUCER_LAST_CRAWL_FAILED = Gauge "catalog_producer_last_crawl_failed" ["region"]:
        "1 if the last crawl of --every failed, otherwise 0.";
    PRODUCER_LOG_LINES_DROPPED = Counter "catalog_producer_log_lines_dropped_total" []:
        "Log lines that could not be written.";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const LABELS: [&str; 7] = ["region", "topic", "partition", "kind", "outcome", "stage", "cause"];

    #[test]
    fn names_follow_the_rules_of_prometheus_and_occur_once() {
        let names: BTreeSet<_> = ALL.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), ALL.len());
        for Metric { name, kind, labels, help } in ALL {
            assert!(name.starts_with("catalog_consumer_") || name.starts_with("catalog_producer_"), "{name}");
            assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{name}");
            assert_eq!(name.ends_with("_total"), *kind == MetricKind::Counter, "{name}");
            assert!(labels.iter().all(|label| LABELS.contains(label)), "{name}");
            assert!(help.ends_with('.'), "{name}");
            assert!(
                !["_ms", "_millis", "_minutes", "_percent"].iter().any(|unit| name.contains(unit)),
                "{name}"
            );
        }
    }
}
