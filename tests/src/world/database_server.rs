//! A PostgreSQL for one test, which the test may kill.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use sqlx::{Connection, PgConnection};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// The timeout for a server to start.
const LIMIT: Duration = Duration::from_secs(120);

/// A server with its own data and port, which it keeps over restarts. It ends when this is dropped.
#[derive(Debug)]
pub struct DatabaseServer {
    folder: TempDir,
    process: Option<Child>,
}

impl DatabaseServer {
    /// Starts one and returns when it is ready.
    ///
    /// # Errors
    /// If it does not start, for example because PostgreSQL is missing. `make test` installs it.
    pub async fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        // It does not run as root, so another user must be able to enter its folder.
        std::fs::set_permissions(folder.path(), Permissions::from_mode(0o755))?;
        let mut server = Self { folder, process: None };
        server.restart().await?;
        Ok(server)
    }

    /// The URL of its database, even while it is stopped.
    ///
    /// # Errors
    /// If it was never started.
    pub fn url(&self) -> Result<String> {
        let ports = std::fs::read_to_string(self.folder.path().join("ports"))?;
        let port = ports.lines().find_map(|line| line.strip_prefix("postgres_port="));
        Ok(format!("postgres://catalog@127.0.0.1:{}/catalog", port.context("the server has a port")?))
    }

    /// Starts it again after [`DatabaseServer::kill`], and returns when it is ready.
    ///
    /// # Errors
    /// If it does not start.
    pub async fn restart(&mut self) -> Result<()> {
        let stack = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dev/stack");
        let mut command = Command::new(stack);
        command.arg("database").arg(self.folder.path()).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = command.spawn()?;
        let stderr = process.stderr.take().context("standard error is piped")?;
        let mut log = BufReader::new(stderr).lines();
        let mut reported = String::new();
        while !reported.contains("database system is ready to accept connections") {
            let line = timeout(LIMIT, log.next_line()).await??;
            reported.push_str(&line.with_context(|| format!("the server did not start:\n{reported}"))?);
            reported.push('\n');
        }
        // Otherwise it would block once its log pipe is full.
        tokio::spawn(async move { while let Ok(Some(_)) = log.next_line().await {} });
        self.process = Some(process);
        Ok(())
    }

    /// Suspends the process that writes the log of asynchronous commits to the disk, so that a crash loses all commits after
    /// the last one that waited for the disk. Returns its process id, for [`DatabaseServer::kill`].
    ///
    /// # Errors
    /// If the server can't be reached.
    pub async fn hold_back_asynchronous_commits(&self) -> Result<i32> {
        let mut connection = PgConnection::connect(&self.url()?).await?;
        let writer = "select pid from pg_stat_activity where backend_type = 'walwriter'";
        let pid: i32 = sqlx::query_scalar(writer).fetch_one(&mut connection).await?;
        connection.close().await?;
        signal("STOP", pid)?;
        Ok(pid)
    }

    /// Kills it, as `kill -9` does: its suspended process too, if there is one.
    ///
    /// # Errors
    /// The system's error.
    pub async fn kill(&mut self, suspended: Option<i32>) -> Result<()> {
        let mut process = self.process.take().context("the server runs")?;
        process.kill().await?;
        // The other processes end when they notice that their parent is gone.
        suspended.map_or(Ok(()), |pid| signal("KILL", pid))
    }
}

fn signal(name: &str, pid: i32) -> Result<()> {
    let pid = pid.to_string();
    let sent = std::process::Command::new("kill").args(["-s", name, &pid]).status()?;
    ensure!(sent.success(), "kill -s {name} {pid} failed");
    Ok(())
}
