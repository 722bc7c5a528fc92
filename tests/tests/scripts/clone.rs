//! A copy of the clone, and scripts that take the place of other programs.

use std::env;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use catalog_tests::docs::root;

/// A copy of some files of the clone, in a folder that is named like other copies.
pub(crate) struct Clone {
    pub(crate) folder: PathBuf,
    /// Programs that are found before those of the system.
    programs: PathBuf,
}

impl Clone {
    /// Copies these files and folders of the repository into `parent/catalog-stream`.
    pub(crate) fn new(parent: &Path, files: &[&str]) -> Result<Self> {
        let folder = parent.join("catalog-stream");
        for file in files {
            copy(&root().join(file), &folder.join(file))?;
        }
        let programs = parent.join("programs");
        fs::create_dir_all(&programs)?;
        Ok(Self { folder, programs })
    }

    /// The same clone after its folder was copied to another parent.
    pub(crate) fn copied_to(&self, parent: &Path) -> Result<Self> {
        let (folder, programs) = (parent.join("catalog-stream"), parent.join("programs"));
        copy(&self.folder, &folder)?;
        copy(&self.programs, &programs)?;
        Ok(Self { folder, programs })
    }

    /// Adds a program: a script in the language of `sh`.
    pub(crate) fn program(&self, name: &str, script: &str) -> Result<()> {
        executable(&self.programs.join(name), script)
    }

    /// Runs a script of the clone without the variables of the test.
    pub(crate) fn run(&self, script: &str, args: &[&str]) -> Result<Output> {
        let path = format!("{}:{}", self.programs.display(), env::var("PATH")?);
        let mut command = Command::new(self.folder.join(script));
        command.args(args).env_clear().env("PATH", path).env("HOME", env::var("HOME")?);
        command.current_dir(&self.folder).output().with_context(|| script.to_owned())
    }

    /// As [`Clone::run`], and expects success. Returns standard output.
    pub(crate) fn succeed(&self, script: &str, args: &[&str]) -> Result<String> {
        let ended = self.run(script, args)?;
        let (out, error) = (String::from_utf8(ended.stdout)?, String::from_utf8(ended.stderr)?);
        ensure!(ended.status.success(), "{script} {args:?}: {}\n{out}{error}", ended.status);
        Ok(out)
    }

    /// The text of a file.
    pub(crate) fn read(&self, file: &str) -> Result<String> {
        fs::read_to_string(self.folder.join(file)).with_context(|| file.to_owned())
    }
}

/// Writes a script that can be run.
pub(crate) fn executable(file: &Path, script: &str) -> Result<()> {
    fs::write(file, format!("#!/bin/sh\n{script}"))?;
    Ok(fs::set_permissions(file, Permissions::from_mode(0o755))?)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    if !from.is_dir() {
        fs::create_dir_all(to.parent().context("a file is in a folder")?)?;
        fs::copy(from, to).with_context(|| from.display().to_string())?;
        return Ok(());
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let name = entry?.file_name();
        copy(&from.join(&name), &to.join(&name))?;
    }
    Ok(())
}
