//! The real programs, as a user runs them.

use std::collections::BTreeMap;
use std::env;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};
use tokio::time::timeout;

/// A test that hangs is a failed test. Nothing here takes a tenth of this.
const LIMIT: Duration = Duration::from_secs(300);

/// A program to run.
#[derive(Debug)]
pub struct Program {
    command: Command,
    limit: Duration,
}

impl Program {
    /// One of the workspace's programs, from the folder that this test was built in.
    ///
    /// # Errors
    /// When it has not been built.
    pub fn new(name: &str) -> Result<Self> {
        let test = env::current_exe()?;
        let folder = test.ancestors().nth(2).context("a test is built into target/PROFILE/deps")?;
        let path: PathBuf = folder.join(name);
        ensure!(path.exists(), "{} has not been built: run `make test`", path.display());
        let mut command = Command::new(path);
        command.env_clear().env("RUST_LOG", "info,catalog_producer=debug,catalog_consumer=debug");
        command.env("RUST_BACKTRACE", "1").args(["--log-format", "json"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        Ok(Self { command, limit: LIMIT })
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<'a>(mut self, args: impl IntoIterator<Item = &'a str>) -> Self {
        self.command.args(args);
        self
    }

    /// Sets a variable. Of the test's own environment the program sees nothing.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Gives it another time than two minutes to end in.
    #[must_use]
    pub const fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Starts it.
    ///
    /// # Errors
    /// What the system says.
    pub fn start(mut self) -> Result<Running> {
        let mut child = self.command.spawn()?;
        let stderr = child.stderr.take().context("standard error is piped")?;
        let log = BufReader::new(stderr).lines();
        Ok(Running { child, log, logged_text: String::new(), limit: self.limit })
    }

    /// Starts it with other streams than pipes that are read. It is killed when the child is dropped.
    ///
    /// # Errors
    /// What the system says.
    pub fn start_on(mut self, stdout: Stdio, stderr: Stdio) -> Result<Child> {
        Ok(self.command.stdout(stdout).stderr(stderr).spawn()?)
    }

    /// Runs it to its end.
    ///
    /// # Errors
    /// When it can't be started or doesn't end.
    pub async fn run(self) -> Result<Ended> {
        self.start()?.ended().await
    }

    /// Runs it to its end and expects success.
    ///
    /// # Errors
    /// When it can't be started, doesn't end, or fails; with all that it said.
    pub async fn succeed(self) -> Result<Ended> {
        let ended = self.run().await?;
        ensure!(ended.code == Some(0), "exit {:?}:\n{}{}", ended.code, ended.stdout, ended.stderr);
        Ok(ended)
    }
}

/// A running program. It is killed when this is dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    log: Lines<BufReader<ChildStderr>>,
    /// What it has logged so far.
    logged_text: String,
    limit: Duration,
}

/// How a program ended.
#[derive(Debug)]
pub struct Ended {
    /// The exit code; none after a signal.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error: the log and the last error.
    pub stderr: String,
}

impl Running {
    /// Waits until the program logs the event with this id (see `catalog_shared::events`), and returns that line.
    ///
    /// # Errors
    /// If the program ends first, or does not log the event in time.
    pub async fn logged(&mut self, event: &str) -> Result<Value> {
        // One timeout for all lines, because a program that waits may log forever.
        let found = timeout(LIMIT, self.find(event)).await;
        found.with_context(|| format!("never logged the event {event}:\n{}", self.logged_text))?
    }

    async fn find(&mut self, event: &str) -> Result<Value> {
        while let Some(line) = self.next_line().await? {
            let line: Value = serde_json::from_str(&line).unwrap_or_default();
            if line["event"] == event {
                return Ok(line);
            }
        }
        bail!("ended without logging the event {event}:\n{}", self.logged_text)
    }

    /// The next log line, if there is one. Keeps it for error messages and for [`Ended::stderr`].
    async fn next_line(&mut self) -> Result<Option<String>> {
        let line = self.log.next_line().await?;
        if let Some(line) = &line {
            self.logged_text.push_str(line);
            self.logged_text.push('\n');
        }
        Ok(line)
    }

    /// Returns when an event outside of the program has come, which it is to bring about.
    ///
    /// # Errors
    /// When the program ends before that, or nothing comes for long.
    pub async fn reaches<T>(&mut self, event: impl Future<Output = T>) -> Result<T> {
        let came = timeout(LIMIT, async {
            tokio::select! {
                came = event => Some(came),
                _ = self.child.wait() => None,
            }
        });
        match came.await {
            Ok(Some(came)) => Ok(came),
            Ok(None) => {
                while self.next_line().await?.is_some() {}
                bail!("ended before the event:\n{}", self.logged_text)
            }
            Err(_) => bail!("the event never came:\n{}", self.logged_text),
        }
    }

    /// Kills it at once, as `kill -9` does, and waits until it is gone.
    ///
    /// # Errors
    /// What the system says.
    pub async fn kill(mut self) -> Result<()> {
        Ok(self.child.kill().await?)
    }

    /// Asks it to end, as `kill` does.
    ///
    /// # Errors
    /// When it has ended already.
    pub fn terminate(&self) -> Result<()> {
        self.signal("TERM")
    }

    /// Its process.
    ///
    /// # Errors
    /// When it has ended already.
    pub fn id(&self) -> Result<u32> {
        self.child.id().context("it has ended")
    }

    /// Sends it a signal by name, such as `STOP`.
    ///
    /// # Errors
    /// When it has ended already.
    pub fn signal(&self, name: &str) -> Result<()> {
        let pid = self.id()?.to_string();
        let sent = std::process::Command::new("kill").args(["-s", name, &pid]).status()?;
        ensure!(sent.success(), "kill -s {name} {pid} failed");
        Ok(())
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it doesn't end; with what it has logged.
    pub async fn ended(mut self) -> Result<Ended> {
        let mut stdout = String::new();
        let end = async {
            let mut out = self.child.stdout.take().context("standard output is piped")?;
            let read_out = out.read_to_string(&mut stdout);
            let read_log = async {
                while let Some(line) = self.log.next_line().await? {
                    self.logged_text.push_str(&line);
                    self.logged_text.push('\n');
                }
                anyhow::Ok(())
            };
            let (out, log) = tokio::join!(read_out, read_log);
            out?;
            log?;
            anyhow::Ok(self.child.wait().await?)
        };
        let status = timeout(self.limit, end).await;
        let Ok(status) = status else { bail!("it never ended:\n{}", self.logged_text) };
        Ok(Ended { code: status?.code(), stdout, stderr: self.logged_text })
    }
}

impl Ended {
    /// The log lines with this event id, in order.
    #[must_use]
    pub fn logged(&self, event: &str) -> Vec<Value> {
        self.log_lines().filter(|line| line["event"] == event).collect()
    }

    /// The log lines that are JSON, in order.
    pub fn log_lines(&self) -> impl Iterator<Item = Value> {
        self.stderr.lines().filter_map(|line| serde_json::from_str(line).ok())
    }

    /// The error that the log ends with.
    ///
    /// # Errors
    /// When its last line is none.
    pub fn error(&self) -> Result<String> {
        let last = self.stderr.lines().last().unwrap_or_default();
        let line: Value = serde_json::from_str(last).with_context(|| format!("no JSON: {last}"))?;
        ensure!(line["level"] == "ERROR" && line["exit_code"] == self.code.unwrap_or(-1), "no error: {last}");
        Ok(line["message"].as_str().unwrap_or_default().to_owned())
    }

    /// The JSON object that the command ended with.
    ///
    /// # Errors
    /// When it isn't one.
    pub fn summary(&self) -> Result<Value> {
        serde_json::from_str(&self.stdout)
            .with_context(|| format!("no summary:\n{}{}", self.stdout, self.stderr))
    }

    /// What a rebuild or a comparison found: missing, different and extra rows by table, where there are any.
    ///
    /// # Errors
    /// When its answer is no report.
    pub fn differences(&self) -> Result<BTreeMap<String, [u64; 3]>> {
        #[derive(Deserialize)]
        struct Table {
            table: String,
            missing: u64,
            different: u64,
            extra: u64,
        }
        let tables: Vec<Table> = serde_json::from_value(self.summary()?["tables"].take())?;
        let counts = tables
            .into_iter()
            .map(|reported| (reported.table, [reported.missing, reported.different, reported.extra]));
        Ok(counts.filter(|(_, counts)| *counts != [0; 3]).collect())
    }
}
