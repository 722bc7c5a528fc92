//! A person who reads what the programs report, and runs the commands in it.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;
use sqlx::ConnectOptions;
use tempfile::TempDir;
use tokio::time::timeout;

use super::documented::PREAMBLE;
use super::{Ended, World};
use crate::docs::root;

const LIMIT: Duration = Duration::from_secs(300);

/// A person with a shell in a folder that contains the repository's `deploy`, and with the variables of a world.
pub struct Operator<'a> {
    world: &'a World,
    folder: TempDir,
    variables: Vec<(String, String)>,
}

impl World {
    /// An operator of this world. `psql` without a user logs in as the tests' user, who is a superuser.
    ///
    /// # Errors
    /// The system's error.
    pub fn operator(&self) -> Result<Operator<'_>> {
        let folder = TempDir::new()?;
        let root = root().canonicalize()?;
        symlink(root.join("deploy"), folder.path().join("deploy"))?;
        let acls = format!("{} kafka kafka-acls", root.join("dev/stack").display());
        let operator = Operator { world: self, folder, variables: Vec::new() };
        let url = self.server.to_url_lossy();
        let operator = match url.password() {
            Some(password) => operator.env("PGPASSWORD", password),
            None => operator,
        };
        Ok(operator.env("KAFKA_ACLS", &acls).env("PGUSER", url.username()).env("CATALOG_RATE", "none"))
    }
}

impl Operator<'_> {
    /// Sets a variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.variables.retain(|(known, _)| known != name);
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets `DATABASE_URL`, without parameters that only sqlx knows.
    #[must_use]
    pub fn database(self, url: &str) -> Self {
        let plain = url.split('?').next().unwrap_or_default();
        self.env("DATABASE_URL", plain)
    }

    /// The folder in which commands run.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Runs a line of shell.
    ///
    /// # Errors
    /// If it does not end.
    pub async fn run(&self, line: &str) -> Result<Ended> {
        let mut bash = self.world.bash(&format!("{PREAMBLE}\n{line}\n"), self.folder())?;
        bash.envs(self.variables.iter().map(|(name, value)| (name, value)));
        let ended = timeout(LIMIT, bash.output()).await.with_context(|| format!("never ends: {line}"))??;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(Ended { code: ended.status.code(), stdout: text(&ended.stdout), stderr: text(&ended.stderr) })
    }

    /// Runs the next command of a finding exactly as it is printed.
    ///
    /// # Errors
    /// Same as [`Operator::run`], or if the finding has none.
    pub async fn next(&self, finding: &Value) -> Result<Ended> {
        let next = finding["next"].as_str().with_context(|| format!("no next command: {finding}"))?;
        self.run(next).await
    }
}
