//! The files of a crate, as modules.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::source::Source;

/// A file of a crate.
pub(crate) struct CrateFile {
    /// Its path below the folder of the crate, such as `store/mod.rs`.
    pub(crate) path: String,
    /// The path of its module, such as `store`. Empty for the root of the crate.
    pub(crate) module: Vec<String>,
    pub(crate) source: Source,
}

impl CrateFile {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let parts = path.trim_end_matches(".rs").split('/');
        let module = parts.filter(|part| !["mod", "lib"].contains(part)).map(str::to_owned).collect();
        Self { path: path.to_owned(), module, source: Source::read(text) }
    }

    /// The paths of its test modules in separate files.
    fn test_modules(&self) -> impl Iterator<Item = Vec<String>> {
        self.source.tests.iter().map(|name| [&self.module[..], std::slice::from_ref(name)].concat())
    }
}

/// The files of a folder of the repository, without those of tests.
pub(crate) fn read(folder: &str) -> anyhow::Result<Vec<CrateFile>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(folder);
    let mut paths = Vec::new();
    collect(&root, &mut paths)?;
    let read = |path: &PathBuf| {
        let name = path.strip_prefix(&root)?.to_string_lossy().into_owned();
        anyhow::Ok(CrateFile::new(&name, &fs::read_to_string(path)?))
    };
    let files = paths.iter().map(read).collect::<anyhow::Result<Vec<_>>>()?;
    anyhow::ensure!(files.len() > 5, "{folder} has only {} files", files.len());
    let tests: Vec<Vec<String>> = files.iter().flat_map(CrateFile::test_modules).collect();
    let is_test = |file: &CrateFile| tests.iter().any(|test| file.module.starts_with(test));
    Ok(files.into_iter().filter(|file| !is_test(file)).collect())
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, paths)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
    Ok(())
}
