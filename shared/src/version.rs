//! The version of the programs, and what they were built from.

use std::sync::LazyLock;

/// The version, such as `0.1.0`.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What was built: `commit 1a2b3c4d5e6f`, `debug build`, or `unknown commit`. `shared/build.rs` sets it.
pub const BUILD: &str = env!("CATALOG_BUILD");

/// The version of librdkafka that the program uses.
#[must_use]
pub fn librdkafka() -> String {
    rdkafka::util::get_rdkafka_version().1
}

/// What `--version` shows after the program's name.
#[must_use]
pub fn long() -> &'static str {
    static LONG: LazyLock<String> =
        LazyLock::new(|| format!("{VERSION} ({BUILD})\nlibrdkafka {}", librdkafka()));
    &LONG
}

/// The code of the build script.
#[cfg(test)]
#[path = "../build/commit.rs"]
mod commit;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use anyhow::Context;
    use tempfile::TempDir;

    use super::commit::{archived, checked_out, short};
    use super::*;

    const ONE: &str = "1111111111111111111111111111111111111111";
    const TWO: &str = "2222222222222222222222222222222222222222";

    /// A folder with these files.
    fn folder(files: &[(&str, &str)]) -> anyhow::Result<TempDir> {
        let folder = TempDir::new()?;
        for (name, text) in files {
            let file = folder.path().join(name);
            fs::create_dir_all(file.parent().context("a file is in a folder")?)?;
            fs::write(file, text)?;
        }
        Ok(folder)
    }

    fn commit_in(folder: &Path) -> Option<String> {
        checked_out(folder).map(|head| head.commit)
    }

    #[test]
    fn the_commit_is_that_of_the_branch_or_of_a_detached_head() {
        let (head, branch) = (".git/HEAD", "ref: refs/heads/main\n");
        let loose = folder(&[(head, branch), (".git/refs/heads/main", ONE), (".git/logs/HEAD", "")]).unwrap();
        let packed_refs = format!(
            "# pack-refs with: peeled\n{TWO} refs/heads/other/refs/heads/main\n{ONE} refs/heads/main\n^{TWO}\n"
        );
        let packed = folder(&[(head, branch), (".git/packed-refs", &packed_refs)]).unwrap();
        let detached = folder(&[(head, TWO)]).unwrap();
        assert_eq!(commit_in(loose.path()).as_deref(), Some(ONE));
        assert_eq!(commit_in(packed.path()).as_deref(), Some(ONE));
        assert_eq!(commit_in(detached.path()).as_deref(), Some(TWO));
        // Cargo looks at these before it skips the build script.
        let files = checked_out(loose.path()).unwrap().files;
        let expected = [head, ".git/logs/HEAD", ".git/refs/heads/main"].map(|name| loose.path().join(name));
        assert_eq!(files, expected);
    }

    #[test]
    fn a_linked_working_tree_has_a_head_of_its_own() {
        let main = folder(&[
            (".git/worktrees/a/HEAD", "ref: refs/heads/a\n"),
            (".git/worktrees/a/commondir", "../..\n"),
            (".git/refs/heads/a", ONE),
            (".git/HEAD", TWO),
        ])
        .unwrap();
        let link = format!("gitdir: {}\n", main.path().join(".git/worktrees/a").display());
        let linked = folder(&[(".git", &link)]).unwrap();
        assert_eq!(commit_in(linked.path()).as_deref(), Some(ONE));
    }

    #[test]
    fn sources_without_a_clone_have_no_commit_unless_an_archive_names_it() {
        let odd = [(".git/HEAD", "ref: refs/heads/.invalid\n"), ("clone", "$Format:%H$\n"), ("archive", ONE)];
        let sources = folder(&odd).unwrap();
        assert_eq!((commit_in(&sources.path().join("none")), commit_in(sources.path())), (None, None));
        let file = |name: &str| -> PathBuf { sources.path().join(name) };
        assert_eq!((archived(&file("clone")), archived(&file("archive"))), (None, Some(ONE.to_owned())));
    }

    #[test]
    fn a_hash_is_shortened_and_a_name_is_not() {
        assert_eq!((short(ONE), short("v1.2.3-4-gabcdef0-dirty")), (&ONE[..12], "v1.2.3-4-gabcdef0-dirty"));
    }

    #[test]
    fn the_long_version_has_a_line_for_librdkafka() {
        let lines: Vec<&str> = long().lines().collect();
        assert_eq!(lines[0], format!("{VERSION} ({BUILD})"));
        assert!(
            lines[1].strip_prefix("librdkafka ").is_some_and(|version| version.starts_with(char::is_numeric))
        );
    }
}
