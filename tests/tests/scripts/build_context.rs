//! `.dockerignore` lets in what the build needs, and no secret. Here its rules are applied as Docker applies them.

use anyhow::Result;
use catalog_tests::docs::Page;

/// Folders of which everything is needed.
const FOLDERS: [&str; 5] = ["consumer", "producer", "shared", "migrations", "tests/src"];

/// A rule: the parts of its pattern, and whether it lets files in.
struct Rule<'a> {
    parts: Vec<&'a str>,
    admits: bool,
}

/// The lines of an ignore file, without comments.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

fn rules(text: &str) -> Vec<Rule<'_>> {
    lines(text)
        .map(|line| {
            let pattern = line.strip_prefix('!');
            let parts = pattern.unwrap_or(line).trim_matches('/').split('/').collect();
            Rule { parts, admits: pattern.is_some() }
        })
        .collect()
}

/// Whether a pattern matches a path or a folder that contains it.
fn matches(pattern: &[&str], path: &[&str]) -> bool {
    match pattern {
        [] => true,
        ["**", rest @ ..] => (0..=path.len()).any(|skipped| matches(rest, &path[skipped..])),
        [part, rest @ ..] => {
            path.split_first().is_some_and(|(name, path)| fits(part, name) && matches(rest, path))
        }
    }
}

/// Whether a name fits a part of a pattern, in which `*` is any text.
fn fits(part: &str, name: &str) -> bool {
    let Some((start, end)) = part.split_once('*') else { return part == name };
    let rest = name.strip_prefix(start);
    rest.is_some_and(|rest| rest.char_indices().any(|(at, _)| fits(end, &rest[at..])) || fits(end, ""))
}

/// Whether a file is in the context: the last rule that matches decides.
fn is_admitted(rules: &[Rule<'_>], file: &str) -> bool {
    let path: Vec<&str> = file.split('/').collect();
    let last = rules.iter().rev().find(|rule| matches(&rule.parts, &path));
    last.is_none_or(|rule| rule.admits)
}

#[test]
fn a_file_that_git_ignores_is_in_no_folder_of_the_build_context() -> Result<()> {
    let (docker, git) = (Page::read(".dockerignore")?, Page::read(".gitignore")?);
    let rules = rules(&docker.text);
    for ignored in lines(&git.text) {
        let name = ignored.trim_matches('/').replace('*', "x");
        for folder in FOLDERS.iter().flat_map(|folder| [format!("{folder}/"), format!("{folder}/a/b/")]) {
            for file in [name.clone(), format!("{folder}{name}"), format!("{folder}{name}/x")] {
                assert!(
                    !is_admitted(&rules, &file),
                    "{file} gets into the image's build, and git ignores {ignored}"
                );
            }
        }
    }
    assert!(lines(&git.text).any(|line| line == ".env"));
    Ok(())
}

#[test]
fn the_build_context_has_what_the_build_needs_and_no_data_of_the_clone() -> Result<()> {
    let docker = Page::read(".dockerignore")?;
    let rules = rules(&docker.text);
    let needed = [
        "Cargo.lock",
        "Cargo.toml",
        "deploy/docker-entrypoint",
        "tests/Cargo.toml",
        "tests/double/src/lib.rs",
    ];
    let sources = FOLDERS.iter().flat_map(|folder| [format!("{folder}/x.sql"), format!("{folder}/a/b/x.rs")]);
    for file in needed.into_iter().map(str::to_owned).chain(sources) {
        assert!(is_admitted(&rules, &file), "{file} does not get into the image's build");
    }
    for file in [".git/config", "compose.yaml", "data.ndjson", "tests/cassettes/x", "docs/README.md"] {
        assert!(!is_admitted(&rules, file), "{file} gets into the image's build");
    }
    Ok(())
}

#[test]
fn rules_are_read_as_docker_reads_them() {
    let rules = rules("# All\n*\n!a\n!b/c\n**/.env\n**/*.key\n");
    for (file, expected) in [
        ("x", false),
        ("a", true),
        ("a/x/y", true),
        ("b/x", false),
        ("b/c/x", true),
        ("a/.env", false),
        ("a/.envy", true),
        ("a/x/tls.key", false),
        ("a/tls.key.rs", true),
    ] {
        assert_eq!(is_admitted(&rules, file), expected, "{file}");
    }
}
