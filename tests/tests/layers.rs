//! The modules of each crate are layers: a top-level module imports only modules below it. The tables define the layer
//! of each module. Tests may import anything.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

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
    &["command_line", "cursors", "topic_setup"],
    &["doctor", "outage", "settings"],
    &["decision", "end_record", "kafka"],
    &["command_files", "cursor", "exit", "findings", "key", "topics"],
    &["notify", "record", "telemetry"],
    &[
        "answer",
        "fields",
        "human",
        "log_writer",
        "monitoring",
        "partition",
        "region",
        "rights",
        "shutdown",
        "stop",
        "terminal",
        "tls_alert",
        "version",
    ],
    &["duration", "events", "fixed", "rate", "text_fields", "time_limit", "watermarks"],
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
fn imports_that_point_up_or_sideways_are_reported_with_their_line() {
    let planted = |path: &str, source: &str| complaints(CONSUMER, path, &Source::read(source));
    let up = "a.rs:2: store imports commands, which lies above it";
    assert_eq!(planted("store/a.rs", "//\nuse crate::commands::run::X;"), [format!("store/{up}")]);
    assert_eq!(planted("store/a.rs", "//\nuse crate::{model::X, commands};"), [format!("store/{up}")]);
    assert_eq!(planted("store/a.rs", "\nuse super::super::commands::X;"), [format!("store/{up}")]);
    assert_eq!(planted("store/b/a.rs", "\nlet x = crate::commands::x();"), [format!("store/b/{up}")]);
    assert_eq!(planted("main.rs", "use catalog_consumer::cli;"), [""; 0]);
    let sideways = "kafka.rs:1: kafka imports store, which lies beside it";
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
        assert_eq!(complaints(CONSUMER, "store/a.rs", &Source::read(source)), [""; 0], "{source}");
    }
}

fn assert_layers(package: &str, layers: Layers) -> anyhow::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(package).join("src");
    for module in layers.iter().copied().flatten() {
        let exists = root.join(module).is_dir() || root.join(format!("{module}.rs")).is_file();
        assert!(exists, "{package} has no module {module}: remove it from its table");
    }
    let mut files = Vec::new();
    read_folder(&root, &mut files)?;
    let tests: Vec<PathBuf> = files.iter().flat_map(|(path, source)| source.test_modules(path)).collect();
    let mut found = Vec::new();
    for (path, source) in &files {
        let name = path.strip_prefix(&root)?.to_string_lossy();
        if name != "lib.rs" && !tests.iter().any(|test| path.with_extension("").starts_with(test)) {
            found.extend(complaints(layers, &name, source));
        }
    }
    assert!(found.is_empty(), "imports of {package} that don't point down:\n{}", found.join("\n"));
    Ok(())
}

fn read_folder(folder: &Path, files: &mut Vec<(PathBuf, Source)>) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            read_folder(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = Source::read(&fs::read_to_string(&path)?);
            files.push((path, source));
        }
    }
    Ok(())
}

/// The imports of a file that don't point down, each with its line.
fn complaints(layers: Layers, path: &str, source: &Source) -> Vec<String> {
    let module: Vec<&str> = path.trim_end_matches(".rs").split('/').filter(|part| *part != "mod").collect();
    let row = |name: &str| layers.iter().position(|row| row.contains(&name));
    let from = module[0];
    let complaint = |to: &str| match (row(from), row(to)) {
        _ if to == from => None,
        (None, _) => Some(format!("{from} has no layer")),
        (_, None) => Some(format!("{to} has no layer")),
        (Some(own), Some(other)) if own < other => None,
        (own, other) => {
            let side = if own == other { "beside" } else { "above" };
            Some(format!("{from} imports {to}, which lies {side} it"))
        }
    };
    let imports = source.imports(module.len()).into_iter();
    imports.filter_map(|(line, to)| Some(format!("{path}:{line}: {}", complaint(to)?))).collect()
}

/// The code of a file, with comments, literals and tests replaced by blanks.
struct Source {
    code: String,
    /// The names of test modules in separate files.
    tests: Vec<String>,
}

impl Source {
    fn read(text: &str) -> Self {
        let mut bytes = text.as_bytes().to_vec();
        let mut at = 0;
        while at < bytes.len() {
            match literal_end(text, at) {
                Some(end) => {
                    blank(&mut bytes[at..end]);
                    at = end;
                }
                None => at += 1,
            }
        }
        let mut tests = Vec::new();
        while let Some(start) = find(&bytes, TEST) {
            let end = item_end(&bytes, start);
            let item = String::from_utf8_lossy(&bytes[start..end]).into_owned();
            let name = item.strip_suffix(';').and_then(|item| item.split_once("mod "));
            tests.extend(name.map(|(_, name)| name.to_owned()));
            blank(&mut bytes[start..end]);
        }
        Self { code: String::from_utf8_lossy(&bytes).into_owned(), tests }
    }

    /// The paths of its test modules, without an extension.
    fn test_modules(&self, path: &Path) -> Vec<PathBuf> {
        let is_parent = ["lib.rs", "mod.rs", "main.rs"].iter().any(|name| path.ends_with(name));
        let folder = if is_parent { path.with_file_name("") } else { path.with_extension("") };
        self.tests.iter().map(|name| folder.join(name)).collect()
    }

    /// The top-level modules that a module at this depth below the crate's root imports, each with its line.
    fn imports(&self, depth: usize) -> Vec<(usize, &str)> {
        let mut found = Vec::new();
        for root in ["crate::", "catalog_consumer::", "catalog_producer::", "super::"] {
            for (at, _) in self.code.match_indices(root) {
                if self.code[..at].ends_with(|before: char| before == ':' || is_of_name(before)) {
                    continue;
                }
                let rest = self.code[at..].trim_start_matches(root);
                let supers = (self.code.len() - at - rest.len()) / root.len();
                // With fewer, the path stays within the top-level module.
                if root != "super::" || supers == depth {
                    found.extend(names(rest).into_iter().map(|name| (self.line_of(name), name)));
                }
            }
        }
        found
    }

    fn line_of(&self, name: &str) -> usize {
        let at = name.as_ptr() as usize - self.code.as_ptr() as usize;
        self.code[..at].matches('\n').count() + 1
    }
}

const TEST: &str = "#[cfg(test)]";

/// The first names of a path or of a group of paths.
fn names(rest: &str) -> Vec<&str> {
    let first = |path: &'_ str| path.len() - path.trim_start_matches(is_of_name).len();
    let Some(group) = rest.strip_prefix('{') else { return vec![&rest[..first(rest)]] };
    let (mut found, mut depth, mut starts) = (Vec::new(), 0, true);
    for (at, character) in group.char_indices() {
        match character {
            '}' if depth == 0 => break,
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => starts = true,
            _ if starts && is_of_name(character) => {
                found.push(&group[at..at + first(&group[at..])]);
                starts = false;
            }
            _ => {}
        }
    }
    found
}

fn is_of_name(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// The end of the comment or literal that begins here, if one does.
fn literal_end(text: &str, at: usize) -> Option<usize> {
    let rest = text.get(at..)?;
    let until =
        |from: usize, end: &str| rest.get(from..)?.find(end).map(|found| at + from + found + end.len());
    let hashes = rest.get(1..).map_or(0, |rest| rest.len() - rest.trim_start_matches('#').len());
    let is_name = text[..at].ends_with(is_of_name);
    if rest.starts_with("//") {
        return until(0, "\n").map(|end| end - 1).or(Some(text.len()));
    }
    if rest.starts_with("/*") {
        return until(2, "*/");
    }
    if rest.starts_with('r') && !is_name && rest[1 + hashes..].starts_with('"') {
        return until(2 + hashes, &format!("\"{}", "#".repeat(hashes)));
    }
    if let Some(string) = rest.strip_prefix('"') {
        let mut escaped = false;
        let end = string.find(|character| {
            let is_end = character == '"' && !escaped;
            escaped = character == '\\' && !escaped;
            is_end
        });
        return end.map(|end| at + 1 + end + 1);
    }
    let character = rest.strip_prefix('\'')?.chars().next()?;
    if character == '\\' {
        return until(3, "'");
    }
    let end = 1 + character.len_utf8();
    rest[end..].starts_with('\'').then_some(at + end + 1)
}

/// The end of the item that begins here: its semicolon or its closing brace.
fn item_end(bytes: &[u8], start: usize) -> usize {
    let mut depth = 0_usize;
    for (at, byte) in bytes.iter().enumerate().skip(start) {
        match byte {
            b';' if depth == 0 => return at + 1,
            b'{' => depth += 1,
            b'}' if depth <= 1 => return at + 1,
            b'}' => depth -= 1,
            _ => {}
        }
    }
    bytes.len()
}

fn find(bytes: &[u8], wanted: &str) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted.as_bytes())
}

fn blank(bytes: &mut [u8]) {
    bytes.iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
}
