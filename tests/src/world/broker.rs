//! A Kafka of a test's own, to be taken away.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// A broker that hasn't come up by then won't.
const LIMIT: Duration = Duration::from_secs(120);

/// A broker with data and a port of its own, which it keeps over its restarts. It is gone when this is
/// dropped, or when the thread that started it has ended.
#[derive(Debug)]
pub struct Broker {
    folder: TempDir,
    process: Option<Child>,
}

impl Broker {
    /// Starts one and returns when it is ready.
    ///
    /// # Errors
    /// When it does not come up, for want of Java or Maven too: `make test` installs them.
    pub async fn start() -> Result<Self> {
        Self::start_with("").await
    }

    /// As [`Broker::start`], with more settings: lines as in its file of properties.
    ///
    /// # Errors
    /// As [`Broker::start`].
    pub async fn start_with(settings: &str) -> Result<Self> {
        let mut broker = Self { folder: tempfile::tempdir()?, process: None };
        std::fs::write(broker.folder.path().join("extra.properties"), settings)?;
        broker.restart().await?;
        Ok(broker)
    }

    /// Where it listens, whenever it does.
    ///
    /// # Errors
    /// When it has never been started.
    pub fn address(&self) -> Result<String> {
        let ports = std::fs::read_to_string(self.folder.path().join("ports"))?;
        let port = ports.lines().find_map(|line| line.strip_prefix("kafka_port="));
        Ok(format!("127.0.0.1:{}", port.context("the broker has a port")?))
    }

    /// Starts it again after [`Broker::kill`], and returns when it is ready.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn restart(&mut self) -> Result<()> {
        let stack = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dev/stack");
        let mut command = Command::new(stack);
        command.arg("broker").arg(self.folder.path()).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = command.spawn()?;
        let stderr = process.stderr.take().context("standard error is piped")?;
        let mut log = BufReader::new(stderr).lines();
        let mut reported = String::new();
        while !reported.contains("Kafka Server started") {
            let line = timeout(LIMIT, log.next_line()).await??;
            reported.push_str(&line.with_context(|| format!("the broker did not start:\n{reported}"))?);
            reported.push('\n');
        }
        // It would wait for whoever reads its log.
        tokio::spawn(async move { while let Ok(Some(_)) = log.next_line().await {} });
        self.process = Some(process);
        Ok(())
    }

    /// Kills it, as `kill -9` does.
    ///
    /// # Errors
    /// What the system says.
    pub async fn kill(&mut self) -> Result<()> {
        let mut process = self.process.take().context("the broker runs")?;
        Ok(process.kill().await?)
    }

    /// Stops it in the midst of its work: clients keep their connections and get no answers.
    ///
    /// # Errors
    /// What the system says.
    pub fn freeze(&self) -> Result<()> {
        self.signal("STOP")
    }

    /// Lets it go on after [`Broker::freeze`].
    ///
    /// # Errors
    /// What the system says.
    pub fn thaw(&self) -> Result<()> {
        self.signal("CONT")
    }

    fn signal(&self, name: &str) -> Result<()> {
        let process = self.process.as_ref().context("the broker runs")?;
        let pid = process.id().context("the broker has ended")?.to_string();
        let sent = std::process::Command::new("kill").args(["-s", name, &pid]).status()?;
        ensure!(sent.success(), "kill -s {name} {pid} failed");
        Ok(())
    }
}
