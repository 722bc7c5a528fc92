//! A PostgreSQL for one test, which the test may kill.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::{interval, timeout};

use super::{LIMIT, LOOK_AGAIN, process};

/// A server with its own data and port, which it keeps over restarts. It ends when this is dropped.
#[derive(Debug)]
pub struct DatabaseServer {
    pub(super) folder: TempDir,
    process: Option<Child>,
    /// Its suspended process, if there is one.
    suspended: Option<i32>,
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
        let mut server = Self { folder, process: None, suspended: None };
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
        command.arg("database").arg(self.folder.path());
        // A standby is ready to accept read-only connections.
        let ready = "database system is ready to accept";
        self.process = Some(process::start(command, ready).await.context("the database server")?);
        Ok(())
    }

    /// Restarts it as a standby without a primary. `select pg_promote()` ends that.
    ///
    /// # Errors
    /// If it does not start.
    pub async fn become_standby(&mut self) -> Result<()> {
        self.kill().await?;
        let file = self.folder.path().join("postgres/standby.signal");
        std::fs::write(&file, "")?;
        std::fs::set_permissions(&file, Permissions::from_mode(0o666))?;
        self.restart().await
    }

    /// Suspends the process that writes the log of asynchronous commits to the disk, so that a crash loses all commits after
    /// the last one that waited for the disk.
    ///
    /// # Errors
    /// If the server can't be reached.
    pub async fn hold_back_asynchronous_commits(&mut self) -> Result<()> {
        let mut connection = PgConnection::connect(&self.url()?).await?;
        let writer = "select pid from pg_stat_activity where backend_type = 'walwriter'";
        let pid: i32 = sqlx::query_scalar(writer).fetch_one(&mut connection).await?;
        connection.close().await?;
        signal("STOP", pid)?;
        self.suspended = Some(pid);
        Ok(())
    }

    /// Requires a password of a user from now on.
    ///
    /// # Errors
    /// If the server can't be reached, or still accepts the user without a password after five minutes.
    pub async fn require_password(&self, user: &str) -> Result<()> {
        let path = self.folder.path().join("postgres/pg_hba.conf");
        let rules = std::fs::read_to_string(&path)?;
        std::fs::write(&path, format!("host all {user} 127.0.0.1/32 scram-sha-256\n{rules}"))?;
        let options: PgConnectOptions = self.url()?.parse()?;
        let mut connection = PgConnection::connect_with(&options).await?;
        sqlx::query("select pg_reload_conf()").execute(&mut connection).await?;
        let wrong = options.username(user).password("wrong");
        let mut again = interval(LOOK_AGAIN);
        let refused = async {
            while PgConnection::connect_with(&wrong).await.is_ok() {
                again.tick().await;
            }
        };
        timeout(LIMIT, refused).await.context("the server never reads its new rules")
    }

    /// Kills it, as `kill -9` does.
    ///
    /// # Errors
    /// The system's error.
    pub async fn kill(&mut self) -> Result<()> {
        let mut process = self.process.take().context("the server runs")?;
        process.kill().await?;
        // The other processes end when they notice that their parent is gone.
        self.suspended.take().map_or(Ok(()), |pid| signal("KILL", pid))
    }
}

impl Drop for DatabaseServer {
    /// A suspended process would not notice that its parent is gone.
    fn drop(&mut self) {
        if let Some(pid) = self.suspended {
            drop(signal("KILL", pid));
        }
    }
}

fn signal(name: &str, pid: i32) -> Result<()> {
    let pid = pid.to_string();
    let sent = std::process::Command::new("kill").args(["-s", name, &pid]).status()?;
    ensure!(sent.success(), "kill -s {name} {pid} failed");
    Ok(())
}
