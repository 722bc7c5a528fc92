//! Sets `CATALOG_BUILD`, which `--version` shows: the commit that a release is built from.
//!
//! The commit comes from the variable `CATALOG_COMMIT`, from an archive of the sources, or from the clone. A debug build
//! does not look for it, so that no commit makes the next build compile anything again.

use std::env;
use std::path::Path;

#[path = "build/commit.rs"]
mod commit;

const VARIABLE: &str = "CATALOG_COMMIT";

fn main() {
    println!("cargo::rerun-if-env-changed={VARIABLE}");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-env=CATALOG_BUILD={}", build());
}

fn build() -> String {
    let given = env::var(VARIABLE).ok().filter(|commit| !commit.trim().is_empty());
    match given.or_else(|| if is_release() { found() } else { None }) {
        Some(commit) => format!("commit {}", commit::short(commit.trim())),
        None if is_release() => "unknown commit".to_owned(),
        None => "debug build".to_owned(),
    }
}

fn is_release() -> bool {
    env::var("PROFILE").is_ok_and(|profile| profile == "release")
}

fn found() -> Option<String> {
    if let Some(commit) = commit::archived(Path::new("build/archived-commit")) {
        return Some(commit);
    }
    let head = commit::checked_out(Path::new(".."))?;
    for file in &head.files {
        println!("cargo::rerun-if-changed={}", file.display());
    }
    Some(head.commit)
}
