//! The report: all measurements, and the machine.

use std::env;
use std::fmt::{self, Display, Formatter};
use std::fs;
use std::process::Command;
use std::thread::available_parallelism;

use anyhow::Result;
use serde::Serialize;
use sqlx::PgPool;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::figure::Row;

/// The result of the benchmark.
#[derive(Serialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) rows: Vec<Row>,
    pub(crate) seconds: f64,
}

/// What the figures depend on, except the code.
#[derive(Serialize)]
pub(crate) struct Machine {
    started_at: String,
    processor: String,
    cores: usize,
    memory_gib: f64,
    kernel: String,
    /// The load average of the last minute before the first measurement. Other load makes the programs slower.
    load_before: f64,
    load_after: Option<f64>,
    commit: Option<String>,
    rustc: Option<String>,
    postgresql: String,
    postgresql_settings: String,
    /// Passed in by `dev/bench`, because Kafka's protocol does not expose it.
    kafka: Option<String>,
    librdkafka: String,
    catalog: String,
}

/// Settings of PostgreSQL that decide how quick a commit and a checkpoint are.
const SETTINGS: &str = "select string_agg(name || '=' || current_setting(name), ', ' order by name)
    from unnest(array['fsync', 'full_page_writes', 'max_wal_size', 'shared_buffers', 'synchronous_commit',
                      'wal_compression', 'wal_level']) as name";

impl Machine {
    /// Describes this machine before the first measurement.
    pub(crate) async fn describe(pool: &PgPool, catalog: String) -> Result<Self> {
        let (_, librdkafka) = rdkafka::util::get_rdkafka_version();
        Ok(Self {
            started_at: OffsetDateTime::now_utc().replace_nanosecond(0)?.format(&Rfc3339)?,
            processor: field("/proc/cpuinfo", "model name").unwrap_or_default(),
            cores: available_parallelism()?.get(),
            memory_gib: memory().unwrap_or_default(),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")?.trim().to_owned(),
            load_before: load().unwrap_or_default(),
            load_after: None,
            commit: output("git", &["describe", "--always", "--dirty"]),
            rustc: output("rustc", &["--version"]),
            postgresql: sqlx::query_scalar("select split_part(current_setting('server_version'), ' ', 1)")
                .fetch_one(pool)
                .await?,
            postgresql_settings: sqlx::query_scalar(SETTINGS).fetch_one(pool).await?,
            kafka: env::var("CATALOG_KAFKA_VERSION").ok(),
            librdkafka,
            catalog,
        })
    }

    /// Stores the load after the last measurement.
    pub(crate) fn note_load(&mut self) {
        self.load_after = load();
    }
}

impl Display for Machine {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let unknown = || "unknown".to_owned();
        let Self { started_at, processor, cores, memory_gib, kernel, load_before, .. } = self;
        let commit = self.commit.clone().unwrap_or_else(unknown);
        let load_after = self.load_after.unwrap_or_default();
        let rustc = self.rustc.clone().unwrap_or_else(unknown);
        let kafka = self.kafka.clone().unwrap_or_else(unknown);
        let Self { postgresql, postgresql_settings, librdkafka, catalog, .. } = self;
        write!(
            f,
            "`make bench` at {started_at}, commit {commit}: {cores} cores of {processor}, shared by everything (load \
             {load_before:.1} before, {load_after:.1} at the end), {memory_gib:.0} GiB, Linux {kernel}, PostgreSQL {postgresql} \
             ({postgresql_settings}), Kafka {kafka}, librdkafka {librdkafka}, {rustc}; {catalog}"
        )
    }
}

/// The first value of a name in a file with lines `name : value`.
pub(crate) fn field(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let named = |line: &str| Some(line.strip_prefix(name)?.trim_start().strip_prefix(':')?.trim().to_owned());
    text.lines().find_map(named)
}

/// In GiB.
fn memory() -> Option<f64> {
    let kib: f64 = field("/proc/meminfo", "MemTotal")?.strip_suffix(" kB")?.parse().ok()?;
    Some(kib / 1024.0 / 1024.0)
}

fn load() -> Option<f64> {
    fs::read_to_string("/proc/loadavg").ok()?.split(' ').next()?.parse().ok()
}

fn output(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}
