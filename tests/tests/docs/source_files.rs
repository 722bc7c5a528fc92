//! The files and folders of the repository that pages name exist.

use anyhow::{Result, ensure};
use catalog_tests::docs::{code_spans, pages, root};

/// The folders that a path begins with if it is one of the repository.
const FOLDERS: [&str; 9] =
    ["consumer/", "producer/", "shared/", "tests/", "migrations/", "docs/", "dev/", "deploy/", ".ci/"];

/// Whether a code span is a path of the repository.
fn is_path(span: &str) -> bool {
    let is_plain = span.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-*".contains(&byte));
    is_plain && FOLDERS.iter().any(|folder| span.starts_with(folder))
}

/// Whether something matches a path whose last part may hold `*`.
fn exists(path: &str) -> bool {
    let Some((before, after)) = path.split_once('*') else { return root().join(path).exists() };
    let (folder, start) = before.rsplit_once('/').unwrap_or(("", before));
    let entries = std::fs::read_dir(root().join(folder)).into_iter().flatten().flatten();
    let mut names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.any(|name| name.starts_with(start) && name.ends_with(after))
}

/// In a cell of a table `a/b.rs`, `c.rs` names two files of one folder, as `a/b/mod.rs`, `c/d.rs` does.
fn neighbours(spans: &[(usize, String)], index: usize) -> Option<String> {
    let (line, span) = &spans[index];
    let is_file = span.ends_with(".rs") && !span.contains(['*', ' ']) && !is_path(span);
    let before = spans[..index].iter().rev().take_while(|(other, _)| other == line);
    let anchors: Vec<&str> = before.map(|(_, span)| span.as_str()).filter(|span| is_path(span)).collect();
    if !is_file || anchors.is_empty() {
        return None;
    }
    let anchor = anchors[0];
    let folders = anchor.match_indices('/').map(|(at, _)| &anchor[..=at]).rev();
    let found = folders.into_iter().any(|folder| root().join(format!("{folder}{span}")).exists());
    (!found).then(|| format!("{span} near {anchor}"))
}

#[test]
fn files_and_folders_that_pages_name_exist() -> Result<()> {
    let (mut checked, mut missing) = (0, Vec::new());
    for page in pages()? {
        // What has been is not what is.
        if page.path == "CHANGELOG.md" {
            continue;
        }
        let spans = code_spans(&page.text);
        for (index, (line, span)) in spans.iter().enumerate() {
            if is_path(span) {
                checked += 1;
                if !exists(span) {
                    missing.push(format!("{}:{line}: {span}", page.path));
                }
            } else if let Some(missed) = neighbours(&spans, index) {
                missing.push(format!("{}:{line}: {missed}", page.path));
            }
        }
    }
    ensure!(checked > 50, "only {checked} paths were found");
    ensure!(missing.is_empty(), "these do not exist:\n{}", missing.join("\n"));
    Ok(())
}
