//! A small disk that a test can fill.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

/// A file system in memory. It is unmounted when this is dropped.
#[derive(Debug)]
pub struct SmallDisk(TempDir);

impl SmallDisk {
    /// Mounts one of this size in MiB, in which PostgreSQL may write. `None` if this user may not mount, with and without sudo.
    ///
    /// # Errors
    /// The system's error.
    pub fn mount(size: u32) -> Result<Option<Self>> {
        let folder = tempfile::tempdir()?;
        let options = format!("size={size}m,{}", owner(folder.path())?);
        let path = folder.path().to_str().context("a path in UTF-8")?;
        let mounted = as_root(&["mount", "-t", "tmpfs", "-o", &options, "tmpfs", path])?;
        Ok(mounted.then(|| Self(folder)))
    }

    /// Its folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file until the disk is full.
    ///
    /// # Errors
    /// Another error than that the disk is full.
    pub fn fill(&self) -> Result<()> {
        let mut file = File::create(self.filler())?;
        let full = loop {
            if let Err(error) = file.write_all(&[0; 4096]) {
                break error;
            }
        };
        ensure!(full.kind() == ErrorKind::StorageFull, "{full}");
        Ok(())
    }

    /// Deletes that file.
    ///
    /// # Errors
    /// The system's error.
    pub fn free(&self) -> io::Result<()> {
        fs::remove_file(self.filler())
    }

    fn filler(&self) -> std::path::PathBuf {
        self.path().join("filler")
    }
}

impl Drop for SmallDisk {
    /// The server that writes there may still be ending, so this does not wait until the disk is no longer used.
    fn drop(&mut self) {
        if let Some(path) = self.path().to_str() {
            drop(as_root(&["umount", "--lazy", path]));
        }
    }
}

/// The mount option for the user that PostgreSQL runs as: this one, or `postgres` if this is root.
fn owner(folder: &Path) -> Result<String> {
    let uid = fs::metadata(folder)?.uid();
    if uid != 0 {
        return Ok(format!("uid={uid},mode=700"));
    }
    let found = Command::new("id").args(["--user", "postgres"]).output()?;
    Ok(format!("uid={},mode=700", String::from_utf8(found.stdout)?.trim()))
}

fn as_root(command: &[&str]) -> Result<bool> {
    let is_root = fs::metadata("/proc/self")?.uid() == 0;
    let sudo: &[&str] = if is_root { &[] } else { &["sudo", "-n"] };
    let all = [sudo, command].concat();
    let ended = Command::new(all[0]).args(&all[1..]).output();
    Ok(ended.is_ok_and(|ended| ended.status.success()))
}
