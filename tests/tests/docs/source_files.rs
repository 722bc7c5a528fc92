//! The files and folders of the repository that pages name exist.

use std::path::Path;

use anyhow::{Result, ensure};
use catalog_tests::docs::{code_spans, pages, root};

/// The first folders of the repository's paths.
const FOLDERS: [&str; 9] =
    ["consumer/", "producer/", "shared/", "tests/", "migrations/", "docs/", "dev/", "deploy/", ".ci/"];

/// Whether a code span is a path of the repository.
fn is_path(span: &str) -> bool {
    let is_plain = span.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-*".contains(&byte));
    is_plain && FOLDERS.iter().any(|folder| span.starts_with(folder))
}

/// Whether a file matches a path whose last part may contain `*`.
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
        // The changelog may name removed files.
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

/// The pages in a text, such as `docs/tutorial.md`.
fn named_pages(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices("docs/").filter_map(|(at, _)| {
        let rest = &text[at..];
        let is_path = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '_' | '.');
        let path = &rest[..rest.find(|c| !is_path(c)).unwrap_or(rest.len())];
        path.trim_end_matches('.').strip_suffix(".md").map(|stem| &path[..stem.len() + 3])
    })
}

fn check_folder(folder: &Path, checked: &mut usize, missing: &mut Vec<String>) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            check_folder(&path, checked, missing)?;
            continue;
        }
        // Binary files name no pages.
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        for page in named_pages(&text) {
            *checked += 1;
            if !root().join(page).exists() {
                missing.push(format!("{}: {page}", path.display()));
            }
        }
    }
    Ok(())
}

#[test]
fn pages_that_code_and_scripts_name_exist() -> Result<()> {
    let (mut checked, mut missing) = (0, Vec::new());
    for folder in ["consumer/src", "producer/src", "shared/src", "dev", "deploy", "migrations"] {
        check_folder(&root().join(folder), &mut checked, &mut missing)?;
    }
    ensure!(checked > 5, "only {checked} pages are named");
    ensure!(missing.is_empty(), "these pages do not exist:\n{}", missing.join("\n"));
    Ok(())
}
