//! The monitoring port of a running program.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{interval, timeout};

use super::probes::FAILURES;
use super::{LIMIT, LOOK_AGAIN, Running};

/// The timeout of a probe, as in deploy/kubernetes.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// The monitoring port of a running program.
#[derive(Clone, Debug)]
pub struct MonitoringPort(String);

/// The outcome of a probe.
enum Probe {
    Succeeded,
    /// Another status than 200.
    Failed(String),
    Unanswered(String),
}

impl Running {
    /// Waits until the program serves its state at a port of its own choice. It must have been started with
    /// `--metrics-addr 0`.
    ///
    /// # Errors
    /// If the program ends first.
    pub async fn watched(&mut self) -> Result<MonitoringPort> {
        let line = self.logged("monitoring_started").await?;
        Ok(MonitoringPort(line["addr"].as_str().context("the line has an address")?.to_owned()))
    }
}

impl MonitoringPort {
    /// Its address.
    #[must_use]
    pub fn addr(&self) -> &str {
        &self.0
    }

    /// The status and the body of a path.
    ///
    /// # Errors
    /// If the program does not answer.
    pub async fn get(&self, path: &str) -> Result<(u16, String)> {
        let (status, _, body) = self.request("GET", path).await?;
        Ok((status, body))
    }

    /// The status, the head and the body of the answer to a request.
    ///
    /// # Errors
    /// If the program does not answer.
    pub async fn request(&self, method: &str, path: &str) -> Result<(u16, String, String)> {
        let mut stream = TcpStream::connect(&self.0).await?;
        let request = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.0);
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        let (head, body) = answer.split_once("\r\n\r\n").context("an answer has a head")?;
        let status = head.split(' ').nth(1).context("an answer has a status")?.parse()?;
        // Not chunked, because each body is sent as a whole.
        ensure!(!head.to_lowercase().contains("chunked"), "{head}");
        Ok((status, head.to_owned(), body.to_owned()))
    }

    /// Asks a path until its status and its JSON body are as expected, and returns the body.
    ///
    /// # Errors
    /// If they are not after five minutes. Contains the last answer.
    pub async fn until(&self, path: &str, status: u16, expected: impl Fn(&Value) -> bool) -> Result<Value> {
        self.until_text(path, |found, body| {
            let body = serde_json::from_str(body).ok()?;
            (found == status && expected(&body)).then_some(body)
        })
        .await
    }

    /// Scrapes the metrics until they are as expected, and returns them.
    ///
    /// # Errors
    /// Same as [`MonitoringPort::until`].
    pub async fn until_metrics(&self, expected: impl Fn(&str) -> bool) -> Result<String> {
        self.until_text("/metrics", |_, body| expected(body).then(|| body.to_owned())).await
    }

    /// Loads the status page until it is as expected, and returns it.
    ///
    /// # Errors
    /// Same as [`MonitoringPort::until`].
    pub async fn until_page(&self, expected: impl Fn(&str) -> bool) -> Result<String> {
        self.until_text("/", |_, body| expected(body).then(|| body.to_owned())).await
    }

    /// Why a probe of a path fails: it has another status than 200, or no answer in time. `None` if it succeeds.
    pub async fn failed_probe(&self, path: &str) -> Option<String> {
        match self.probe(path).await {
            Probe::Succeeded => None,
            Probe::Failed(failure) | Probe::Unanswered(failure) => Some(failure),
        }
    }

    async fn probe(&self, path: &str) -> Probe {
        let named = |failure| format!("{path} of {}: {failure}", self.0);
        match timeout(PROBE_TIMEOUT, self.get(path)).await {
            Ok(Ok((200, _))) => Probe::Succeeded,
            Ok(Ok((status, body))) => Probe::Failed(named(format!("{status} {body}"))),
            Ok(Err(error)) => Probe::Unanswered(named(format!("no answer: {error:#}"))),
            Err(_) => Probe::Unanswered(named("no answer in time".to_owned())),
        }
    }

    /// Returns when the program says at `/healthz` that it is unhealthy, or gives no answer several times in a row. Waits forever
    /// if it is healthy.
    pub async fn unhealthy(&self) -> String {
        let (mut again, mut unanswered) = (interval(LOOK_AGAIN), 0);
        loop {
            again.tick().await;
            match self.probe("/healthz").await {
                Probe::Succeeded => unanswered = 0,
                Probe::Failed(failure) => return failure,
                Probe::Unanswered(_) if unanswered + 1 < FAILURES => unanswered += 1,
                Probe::Unanswered(failure) => return failure,
            }
        }
    }

    async fn until_text<T>(&self, path: &str, expected: impl Fn(u16, &str) -> Option<T>) -> Result<T> {
        let (mut again, mut last) = (interval(LOOK_AGAIN), String::new());
        let checks = async {
            loop {
                again.tick().await;
                let (status, body) = self.get(path).await?;
                if let Some(found) = expected(status, &body) {
                    return anyhow::Ok(found);
                }
                // The style sheet of a page would hide what differs.
                let body = body.split_once("</style>").map_or(body.as_str(), |(_, rest)| rest);
                last = format!("{status} {body}");
            }
        };
        let found = timeout(LIMIT, checks).await;
        found.with_context(|| format!("{path} was never as expected: {last}"))?
    }
}
