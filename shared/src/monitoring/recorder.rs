//! The recorders of metrics: a global one for counters and histograms, and one per scrape for everything else.

use anyhow::Context;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

use super::{Monitored, names};

/// The upper bounds of the buckets of histograms, in seconds.
const BUCKETS: [f64; 14] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0];

/// The global recorder.
pub(super) struct Recorder(PrometheusHandle);

impl Recorder {
    /// Installs the global recorder. There can be only one per process.
    pub(super) fn install() -> anyhow::Result<Self> {
        let builder = PrometheusBuilder::new().set_buckets(&BUCKETS).context("invalid buckets")?;
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        metrics::set_global_recorder(recorder).ok().context("metrics are already recorded")?;
        names::ALL.iter().for_each(names::Metric::describe);
        Ok(Self(handle))
    }

    /// All metrics in the text format of Prometheus.
    pub(super) fn render(&self, program: &dyn Monitored) -> String {
        let mut text = self.0.render();
        text.push_str(&snapshot(program));
        text
    }

    /// Moves the samples of histograms to their buckets. They would need more and more memory until the next scrape.
    pub(super) fn keep_up(&self) {
        self.0.run_upkeep();
    }
}

/// What the program records now. A series that it no longer records is gone.
fn snapshot(program: &dyn Monitored) -> String {
    let scrape = PrometheusBuilder::new().build_recorder();
    metrics::with_local_recorder(&scrape, || {
        names::ALL.iter().for_each(names::Metric::describe);
        program.record();
    });
    scrape.handle().render()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

    use metrics::gauge;
    use serde_json::Value;

    use super::*;
    use crate::monitoring::HealthResponse;

    /// A program with a number of partitions.
    struct Partitions(AtomicU8);

    impl Monitored for Partitions {
        fn health(&self) -> HealthResponse {
            HealthResponse { is_ok: true, summary: String::new(), body: Value::Null }
        }

        fn readiness(&self) -> HealthResponse {
            self.health()
        }

        fn record(&self) {
            for partition in 0..self.0.load(Relaxed) {
                gauge!(names::CONSUMER_LAG_RECORDS, "topic" => "t", "partition" => partition.to_string())
                    .set(7.0);
            }
        }
    }

    #[test]
    fn a_scrape_has_only_what_exists_now_with_its_help_text() {
        let program = Partitions(2.into());
        let both = snapshot(&program);
        assert!(both.contains("# HELP catalog_consumer_lag_records Offsets between"), "{both}");
        assert!(both.contains("# TYPE catalog_consumer_lag_records gauge"), "{both}");
        assert!(both.contains("catalog_consumer_lag_records{topic=\"t\",partition=\"1\"} 7"), "{both}");
        program.0.store(1, Relaxed);
        let one = snapshot(&program);
        assert!(one.contains("partition=\"0\"") && !one.contains("partition=\"1\""), "{one}");
    }
}
