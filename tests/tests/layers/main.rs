//! The modules of each crate are layers: a top-level module imports only modules below it. The tables define the layer
//! of each module. Within each folder, at every depth, modules don't import each other in a circle. Tests may import
//! anything.

mod circles;
mod crate_files;
mod source;

use std::path::Path;

use circles::circles;
use crate_files::CrateFile;

/// Layers from top to bottom. Modules in one row don't import each other.
type Layers = &'static [&'static [&'static str]];

const CONSUMER: Layers = &[
    &["main"],
    &["cli", "probe"],
    &["commands"],
    &["sync"],
    &["store", "kafka"],
    &["decode"],
    &["model"],
    &["config"],
];

const PRODUCER: Layers = &[
    &["main"],
    &["cli", "probe"],
    &["crawl", "doctor", "status"],
    &["api", "publish", "report"],
    &["run"],
    &["config", "progress"],
    &["model", "schedule"],
];

const SHARED: Layers = &[
    &["kafka_doctor"],
    &["command_line", "cursor_reader", "topic_setup"],
    &["partition_reader"],
    &["doctor", "outage", "settings"],
    &["decision", "end_record", "kafka"],
    &["command_files", "cursor", "exit", "key", "run_sentences", "topics"],
    &["notify", "record", "telemetry"],
    &[
        "fields",
        "human",
        "log_writer",
        "missed",
        "monitoring",
        "output",
        "partition",
        "region",
        "rights",
        "shutdown",
        "stop",
        "terminal",
        "tls_alert",
        "version",
    ],
    &["duration", "events", "rate_meter", "reserved_options", "text_fields", "time_limit", "watermarks"],
];

#[test]
fn imports_of_the_consumer_point_down() -> anyhow::Result<()> {
    assert_layers("consumer", CONSUMER)
}

#[test]
fn imports_of_the_producer_point_down() -> anyhow::Result<()> {
    assert_layers("producer", PRODUCER)
}

#[test]
fn imports_of_the_shared_crate_point_down() -> anyhow::Result<()> {
    assert_layers("shared", SHARED)
}

#[test]
fn no_folder_has_a_circle_of_imports() -> anyhow::Result<()> {
    for folder in ["consumer/src", "producer/src", "shared/src", "tests/src", "tests/double/src"] {
        let found = circles(&crate_files::read(folder)?);
        assert!(found.is_empty(), "circles of imports in {folder}:\n{}", found.join("\n"));
    }
    Ok(())
}

#[test]
fn imports_that_point_up_or_sideways_are_reported_with_their_line() {
    let planted = |path: &str, source: &str| complaints(CONSUMER, &CrateFile::new(path, source));
    let up = "a.rs:2: store imports commands, which is above it";
    assert_eq!(planted("store/a.rs", "//\nuse crate::commands::run::X;"), [format!("store/{up}")]);
    assert_eq!(planted("store/a.rs", "//\nuse crate::{model::X, commands};"), [format!("store/{up}")]);
    assert_eq!(planted("store/a.rs", "\nuse super::super::commands::X;"), [format!("store/{up}")]);
    assert_eq!(planted("store/b/a.rs", "\nlet x = crate::commands::x();"), [format!("store/b/{up}")]);
    assert_eq!(planted("main.rs", "use catalog_consumer::cli;"), [""; 0]);
    let sideways = "kafka.rs:1: kafka imports store, which is beside it";
    assert_eq!(planted("kafka.rs", "use super::store;"), [sideways]);
    assert_eq!(planted("kafka.rs", "use crate::nowhere;"), ["kafka.rs:1: nowhere has no layer"]);
}

#[test]
fn imports_that_point_down_and_those_of_tests_are_allowed() {
    for source in [
        "use crate::{config, model::topic::{self, X}};",
        "use crate::store::ledger;\nuse super::ledger::X;",
        "/// See [`crate::cli`].\nconst X: [&str; 3] = [\"crate::cli\", r#\"\"crate::cli\"#, '\"'];",
        "#[cfg(test)]\nmod tests {\n    use crate::cli;\n    fn f() { crate::cli::f() }\n}",
        "#[cfg(test)]\nuse crate::{cli, commands};",
        "pub(crate) fn f<'a>(x: &'a str) -> &'a str { x }",
    ] {
        assert_eq!(complaints(CONSUMER, &CrateFile::new("store/a.rs", source)), [""; 0], "{source}");
    }
}

fn assert_layers(package: &str, layers: Layers) -> anyhow::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(package).join("src");
    for module in layers.iter().copied().flatten() {
        let exists = root.join(module).is_dir() || root.join(format!("{module}.rs")).is_file();
        assert!(exists, "{package} has no module {module}: remove it from its table");
    }
    let files = crate_files::read(&format!("{package}/src"))?;
    let found: Vec<String> = files.iter().flat_map(|file| complaints(layers, file)).collect();
    assert!(found.is_empty(), "imports of {package} that don't point down:\n{}", found.join("\n"));
    Ok(())
}

/// The imports of a file that don't point down, each with its line.
fn complaints(layers: Layers, file: &CrateFile) -> Vec<String> {
    let row = |name: &str| layers.iter().position(|row| row.contains(&name));
    let Some(from) = file.module.first().map(String::as_str) else { return Vec::new() };
    let complaint = |to: &str| match (row(from), row(to)) {
        _ if to == from => None,
        (None, _) => Some(format!("{from} has no layer")),
        (_, None) => Some(format!("{to} has no layer")),
        (Some(own), Some(other)) if own < other => None,
        (own, other) => {
            let side = if own == other { "beside" } else { "above" };
            Some(format!("{from} imports {to}, which is {side} it"))
        }
    };
    let imports = file.source.imports(&file.module).into_iter();
    imports
        .filter_map(|import| {
            Some(format!("{}:{}: {}", file.path, import.line, complaint(import.path.first()?)?))
        })
        .collect()
}
