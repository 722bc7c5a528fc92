//! The pages of the documentation, as tests read them.

mod block;
mod label_matcher;
mod markdown;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

pub use block::{Block, Run, blocks};
pub use label_matcher::{LabelMatcher, label_matchers};
pub use markdown::{anchors, code_spans, links, prose};

/// Folders without pages of this project.
const LEFT_OUT: [&str; 3] = ["target", ".git", "node_modules"];

/// A page of the documentation.
#[derive(Clone, Debug)]
pub struct Page {
    /// Its path within the repository, such as `docs/tutorial.md`.
    pub path: String,
    /// Its text.
    pub text: String,
}

impl Page {
    /// Reads one page by its path within the repository.
    ///
    /// # Errors
    /// If it does not exist.
    pub fn read(path: &str) -> Result<Self> {
        let file = root().join(path);
        let text = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        Ok(Self { path: path.to_owned(), text })
    }

    /// The fenced blocks of the page.
    ///
    /// # Errors
    /// If a block has no end or its comment has no reason.
    pub fn blocks(&self) -> Result<Vec<Block>> {
        blocks(&self.text).with_context(|| self.path.clone())
    }

    /// The value of a variable, in single quotes, that the first block after a heading exports, with other values in place of
    /// the example's.
    ///
    /// # Errors
    /// If there is none, or it does not contain one of the example's values.
    pub fn exported(&self, heading: &str, variable: &str, values: &[(&str, &str)]) -> Result<String> {
        let section = self.text.split_once(&format!("\n## {heading}\n")).map(|(_, section)| section);
        let section = section.and_then(|section| section.split("\n## ").next());
        let value = section.and_then(|section| section.split_once(&format!("export {variable}='")));
        let value = value.and_then(|(_, value)| value.split('\'').next());
        let value = value.with_context(|| format!("{}: {heading} exports no {variable}", self.path))?;
        values.iter().try_fold(value.to_owned(), |text, (documented, other)| {
            ensure!(text.contains(documented), "{}: {heading} has no {documented}: {text}", self.path);
            Ok(text.replace(documented, other))
        })
    }
}

/// The folder of the repository.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// All Markdown pages of the repository, in the order of their paths.
///
/// # Errors
/// If a folder can't be read, or there are suspiciously few pages.
pub fn pages() -> Result<Vec<Page>> {
    let mut paths = Vec::new();
    collect(&root(), "", &mut paths)?;
    paths.sort();
    ensure!(paths.len() > 20, "only {} pages were found", paths.len());
    paths.iter().map(|path| Page::read(path)).collect()
}

fn collect(folder: &Path, prefix: &str, paths: &mut Vec<String>) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{prefix}{name}");
        if entry.file_type()?.is_dir() {
            if !LEFT_OUT.contains(&name.as_str()) {
                collect(&entry.path(), &format!("{path}/"), paths)?;
            }
        } else if Path::new(&name).extension().is_some_and(|ending| ending == "md") {
            paths.push(path);
        }
    }
    Ok(())
}
