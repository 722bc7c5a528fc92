//! A receiver of webhooks, which can answer with errors or not at all.

use std::collections::VecDeque;
use std::sync::Arc;

use anyhow::{Context, Result};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::LIMIT;

/// An answer of a receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// This HTTP status.
    Status(u16),
    /// None. The connection stays open.
    Never,
}

/// A request to a receiver.
#[derive(Clone, Debug)]
pub struct Received {
    /// The request line and the headers.
    pub head: String,
    /// The body.
    pub body: Value,
}

/// A receiver on a port of its own. It ends when it is dropped.
#[derive(Debug)]
pub struct Receiver {
    port: u16,
    answers: Arc<Mutex<VecDeque<Answer>>>,
    requests: mpsc::UnboundedReceiver<Received>,
    _stop: DropGuard,
}

impl Receiver {
    /// Starts a receiver that accepts everything.
    ///
    /// # Errors
    /// The system's error.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (port, answers) = (listener.local_addr()?.port(), Arc::<Mutex<VecDeque<Answer>>>::default());
        let ((sender, requests), stop) = (mpsc::unbounded_channel(), CancellationToken::new());
        let planned = Arc::clone(&answers);
        let serve = async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (planned, sender) = (Arc::clone(&planned), sender.clone());
                tokio::spawn(async move { serve(stream, &planned, &sender).await });
            }
        };
        tokio::spawn(stop.clone().run_until_cancelled_owned(serve));
        Ok(Self { port, answers, requests, _stop: stop.drop_guard() })
    }

    /// The URL of a path.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/{path}", self.port)
    }

    /// The answers to the next requests. Later ones are accepted.
    pub fn answer(&self, answers: impl IntoIterator<Item = Answer>) {
        self.answers.lock().extend(answers);
    }

    /// Waits for the next request.
    ///
    /// # Errors
    /// If none comes in time.
    pub async fn next(&mut self) -> Result<Received> {
        let next = timeout(LIMIT, self.requests.recv()).await.context("no request came")?;
        next.context("the receiver has ended")
    }

    /// The requests that have come since.
    pub fn rest(&mut self) -> Vec<Received> {
        std::iter::from_fn(|| self.requests.try_recv().ok()).collect()
    }
}

async fn serve(
    stream: TcpStream,
    answers: &Mutex<VecDeque<Answer>>,
    sender: &mpsc::UnboundedSender<Received>,
) -> Result<()> {
    let mut stream = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse()?;
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    let answer = answers.lock().pop_front().unwrap_or(Answer::Status(200));
    sender.send(Received { head, body: serde_json::from_slice(&body)? })?;
    match answer {
        // What a receiver answers may quote the request.
        Answer::Status(status) => {
            let text = String::from_utf8_lossy(&body);
            let answer = format!(
                "HTTP/1.1 {status} x\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}",
                text.len()
            );
            Ok(stream.write_all(answer.as_bytes()).await?)
        }
        // Until the client gives up.
        Answer::Never => stream.read_to_end(&mut Vec::new()).await.map(|_| ()).map_err(Into::into),
    }
}
