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

/// The timeout for a program and for an event. Nothing takes a tenth of this.
const LIMIT: Duration = Duration::from_secs(300);

/// A program to run.
#[derive(Debug)]
pub struct Program {
    command: Command,
    limit: Duration,
}

impl Program {
    /// One of the workspace's programs, from the folder in which this test was built.
    ///
    /// # Errors
    /// If it was not built.
    pub fn new(name: &str) -> Result<Self> {
        let test = env::current_exe()?;
        let folder = test.ancestors().nth(2).context("a test is built into target/PROFILE/deps")?;
        let path: PathBuf = folder.join(name);
        ensure!(path.exists(), "{} was not built: run `make test`", path.display());
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

    /// Sets a variable. The program does not inherit the test's environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Sets another timeout for the program to end.
    #[must_use]
    pub const fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Starts it.
    ///
    /// # Errors
    /// The system's error.
    pub fn start(mut self) -> Result<Running> {
        let mut child = self.command.spawn()?;
        let stderr = child.stderr.take().context("standard error is piped")?;
        let log = BufReader::new(stderr).lines();
        Ok(Running { child, log, logged_text: String::new(), limit: self.limit })
    }

    /// Starts it with these streams instead of pipes. It is killed when the child is dropped.
    ///
    /// # Errors
    /// The system's error.
    pub fn start_on(mut self, stdout: Stdio, stderr: Stdio) -> Result<Child> {
        Ok(self.command.stdout(stdout).stderr(stderr).spawn()?)
    }

    /// Runs it to its end.
    ///
    /// # Errors
    /// If it can't be started or doesn't end.
    pub async fn run(self) -> Result<Ended> {
        self.start()?.ended().await
    }

    /// Runs it to its end and expects success.
    ///
    /// # Errors
    /// If it can't be started, doesn't end, or fails. Contains its output.
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
    /// Its log so far.
    logged_text: String,
    limit: Duration,
}

/// How a program ended.
#[derive(Debug)]
pub struct Ended {
    /// The exit code. `None` after a signal.
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
        self.logged_one_of(&[event]).await
    }

    /// Like [`Running::logged`], for the first of several events.
    ///
    /// # Errors
    /// Same as [`Running::logged`].
    pub async fn logged_one_of(&mut self, events: &[&str]) -> Result<Value> {
        // One timeout for all lines, because a program that waits may log forever.
        let found = timeout(LIMIT, self.find(events)).await;
        found.with_context(|| format!("never logged {}:\n{}", events.join(" or "), self.logged_text))?
    }

    async fn find(&mut self, events: &[&str]) -> Result<Value> {
        while let Some(line) = self.next_line().await? {
            let line: Value = serde_json::from_str(&line).unwrap_or_default();
            if line["event"].as_str().is_some_and(|event| events.contains(&event)) {
                return Ok(line);
            }
        }
        bail!("ended without logging {}:\n{}", events.join(" or "), self.logged_text)
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

    /// Waits for an event outside of the program that the program causes.
    ///
    /// # Errors
    /// If the program ends first, or the event does not come in time.
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

    /// Kills it at once, as `kill -9` does, and waits until it has ended.
    ///
    /// # Errors
    /// The system's error.
    pub async fn kill(mut self) -> Result<()> {
        Ok(self.child.kill().await?)
    }

    /// Sends SIGTERM, as `kill` does.
    ///
    /// # Errors
    /// If it has already ended.
    pub fn terminate(&self) -> Result<()> {
        self.signal("TERM")
    }

    /// Its process id.
    ///
    /// # Errors
    /// If it has already ended.
    pub fn id(&self) -> Result<u32> {
        self.child.id().context("the program has already ended")
    }

    /// Sends it a signal by name, such as `STOP`.
    ///
    /// # Errors
    /// If it has already ended.
    pub fn signal(&self, name: &str) -> Result<()> {
        let pid = self.id()?.to_string();
        let sent = std::process::Command::new("kill").args(["-s", name, &pid]).status()?;
        ensure!(sent.success(), "kill -s {name} {pid} failed");
        Ok(())
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// If it doesn't end. Contains its log.
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
    /// If its last line is not an error with this exit code.
    pub fn error(&self) -> Result<String> {
        let last = self.stderr.lines().last().unwrap_or_default();
        let line: Value = serde_json::from_str(last).with_context(|| format!("no JSON: {last}"))?;
        ensure!(line["level"] == "ERROR" && line["exit_code"] == self.code.unwrap_or(-1), "no error: {last}");
        Ok(line["message"].as_str().unwrap_or_default().to_owned())
    }

    /// The JSON object that the command ended with.
    ///
    /// # Errors
    /// If standard output is not JSON.
    pub fn summary(&self) -> Result<Value> {
        serde_json::from_str(&self.stdout)
            .with_context(|| format!("no summary:\n{}{}", self.stdout, self.stderr))
    }

    /// The result of a rebuild or a comparison: missing, different and extra rows, for each table that has any.
    ///
    /// # Errors
    /// If its answer is not a report.
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
