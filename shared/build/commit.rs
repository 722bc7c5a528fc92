//! Finds the commit of the sources without running Git, because a machine that builds may not have it.

use std::fs;
use std::path::{Path, PathBuf};

/// A commit that is checked out.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// The full hash.
    pub(crate) commit: String,
    /// The files of Git that change when another commit is checked out.
    pub(crate) files: Vec<PathBuf>,
}

/// The commit that the working tree in the folder `root` has checked out. None if it is not a working tree, or of an
/// unknown format.
pub(crate) fn checked_out(root: &Path) -> Option<Head> {
    let folder = git_folder(root)?;
    let head = read(&folder.join("HEAD"))?;
    // A linked working tree has a HEAD of its own, and the branches of the main one.
    let common = read(&folder.join("commondir")).map_or_else(|| folder.clone(), |path| folder.join(path));
    let packed = common.join("packed-refs");
    let mut files = vec![folder.join("HEAD"), folder.join("logs/HEAD"), packed.clone()];
    let commit = match head.strip_prefix("ref: ") {
        None => head,
        Some(name) => {
            files.push(common.join(name));
            read(&common.join(name)).or_else(|| find_packed(&packed, name))?
        }
    };
    files.retain(|file| file.exists());
    is_hash(&commit).then_some(Head { commit, files })
}

/// The commit in the file that `git archive` fills in (see .gitattributes). None in a clone.
pub(crate) fn archived(file: &Path) -> Option<String> {
    read(file).filter(|text| is_hash(text))
}

/// The first 12 digits of a full hash, or the text as it is.
pub(crate) fn short(commit: &str) -> &str {
    const SHORT: usize = 12;
    if is_hash(commit) { commit.get(..SHORT).unwrap_or(commit) } else { commit }
}

/// The folder `.git`, or the one that a linked working tree names in a file `.git`.
fn git_folder(root: &Path) -> Option<PathBuf> {
    let git = root.join(".git");
    if git.is_dir() {
        return Some(git);
    }
    Some(root.join(read(&git)?.strip_prefix("gitdir: ")?))
}

/// The commit of a branch in a file with lines `HASH NAME`.
fn find_packed(file: &Path, name: &str) -> Option<String> {
    let text = read(file)?;
    let found = text.lines().find_map(|line| line.strip_suffix(name)?.strip_suffix(' '));
    found.map(str::to_owned)
}

fn is_hash(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn read(file: &Path) -> Option<String> {
    Some(fs::read_to_string(file).ok()?.trim().to_owned())
}
