//! A PgBouncer between a program and PostgreSQL.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use anyhow::{Context, Result};
use sqlx::ConnectOptions;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::{World, process};

/// Debian's path is only in root's `PATH`.
const PROGRAMS: [&str; 2] = ["/usr/sbin/pgbouncer", "pgbouncer"];
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
        command.arg(path("config"));
        let started = process::start(command, "process up").await;
        let process = started.context("PgBouncer does not start: run `dev/setup tests`")?;
        Ok(Self { _folder: folder, _process: process })
    }
}
