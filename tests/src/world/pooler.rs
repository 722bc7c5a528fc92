//! A PgBouncer between a program and PostgreSQL.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result};
use sqlx::ConnectOptions;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::World;

/// Debian's path is only in root's `PATH`.
const PROGRAMS: [&str; 2] = ["/usr/sbin/pgbouncer", "pgbouncer"];
const LIMIT: Duration = Duration::from_secs(30);
const PASSWORD: &str = "pooled7Q";

/// A pooler for one database. It ends when this is dropped.
#[derive(Debug)]
pub struct Pooler {
    _folder: TempDir,
    _process: Child,
}

impl World {
    /// A pooler with these settings, one per line, such as `pool_mode = session`. Also returns the database's URL
    /// through it, with a separate login. One per world.
    ///
    /// # Errors
    /// If it does not start or is not installed. `dev/setup tests` installs it.
    pub async fn pooler(&self, settings: &str) -> Result<(Pooler, String)> {
        self.login(PASSWORD).await?;
        // The port was just free, and the system does not soon assign it again.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let pooler = Pooler::start(self, port, settings).await?;
        let options =
            self.server.clone().username(&self.database).password(PASSWORD).database(&self.database);
        Ok((pooler, options.host("127.0.0.1").port(port).to_url_lossy().to_string()))
    }
}

impl Pooler {
    async fn start(world: &World, port: u16, settings: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let path = |name| folder.path().join(name);
        let (server, database) = (&world.server, &world.database);
        let (host, server_port) = (server.get_host(), server.get_port());
        fs::write(path("users"), format!("\"{database}\" \"{PASSWORD}\"\n"))?;
        let users = path("users");
        let config = format!(
            "[databases]\n{database} = host={host} port={server_port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = plain\nauth_file = {}\n{settings}\n",
            users.display()
        );
        fs::write(path("config"), config)?;
        // It refuses to run as root, so another user must be able to read its files.
        let is_root = fs::metadata(folder.path())?.uid() == 0;
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
        let program = if fs::exists(PROGRAMS[0])? { PROGRAMS[0] } else { PROGRAMS[1] };
        let mut command = Command::new(program);
        if is_root {
            command.args(["-u", "postgres"]);
        }
        command.arg(path("config")).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = command.spawn().context("PgBouncer does not start: run `dev/setup tests`")?;
        let stderr = process.stderr.take().context("standard error is piped")?;
        let mut log = BufReader::new(stderr).lines();
        let mut reported = String::new();
        while !reported.contains("process up") {
            let line = timeout(LIMIT, log.next_line()).await??;
            reported.push_str(&line.with_context(|| format!("the pooler did not start:\n{reported}"))?);
            reported.push('\n');
        }
        // Otherwise it would block once its log pipe is full.
        tokio::spawn(async move { while let Ok(Some(_)) = log.next_line().await {} });
        Ok(Self { _folder: folder, _process: process })
    }
}
