//! A Kafka of a test's own, to be taken away.

use std::io::Write;
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
/// What `dev/stack` exits with where Java or Kafka can't be had.
const LACKING: i32 = 69;

/// A broker with data and a port of its own, which it keeps over its restarts. It is gone when this is
/// dropped, or when the thread that started it has ended.
#[derive(Debug)]
pub struct Broker {
    folder: TempDir,
    process: Option<Child>,
}

impl Broker {
    /// Starts one and returns when it is ready. None where the machine lacks Java or Maven, as it may where
    /// `make test` uses a Kafka from elsewhere; that is said on standard error.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn start() -> Result<Option<Self>> {
        let mut broker = Self { folder: tempfile::tempdir()?, process: None };
        Ok(broker.bring_up().await?.then_some(broker))
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
        ensure!(self.bring_up().await?, "it could be started before");
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

    /// Tells whether there can be a broker.
    async fn bring_up(&mut self) -> Result<bool> {
        let stack = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dev/stack");
        let mut command = Command::new(stack);
        command.arg("broker").arg(self.folder.path()).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = command.spawn()?;
        let stderr = process.stderr.take().context("standard error is piped")?;
        let mut log = BufReader::new(stderr).lines();
        let mut told = String::new();
        while !told.contains("Kafka Server started") {
            let Some(line) = timeout(LIMIT, log.next_line()).await?? else {
                return lacking(process.wait().await?.code(), &told);
            };
            told.push_str(&line);
            told.push('\n');
        }
        // It would wait for whoever reads its log.
        tokio::spawn(async move { while let Ok(Some(_)) = log.next_line().await {} });
        self.process = Some(process);
        Ok(true)
    }
}

/// A broker that ended before it was ready: there can be none, or something is wrong.
fn lacking(code: Option<i32>, told: &str) -> Result<bool> {
    ensure!(code == Some(LACKING), "the broker did not start:\n{told}");
    // Not `eprintln!`, which is shown only when a test fails.
    write!(std::io::stderr(), "skipped, for there can be no Kafka of its own: {told}")?;
    Ok(false)
}
