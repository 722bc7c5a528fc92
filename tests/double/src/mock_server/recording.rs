//! Recordings: exchanges with the API, recorded by the producer's `--record` as files, and played back
//! strictly. `docs/reference/recordings.md` describes the format. The writer shares no code with this.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use parking_lot::Mutex;

use super::log::ReceivedRequest;

/// An exchange as it was recorded.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The request.
    pub request: Request,
    /// How often an equal request was recorded until then, from 1.
    pub asked: u32,
    /// How the exchange ended.
    pub ended: Ended,
    /// The answer's status. `None` if no answer had begun.
    pub status: Option<u16>,
    /// The recorded headers of the answer, with names in lower case.
    pub headers: Vec<(String, String)>,
    /// The received part of the body, uncompressed.
    pub body: Bytes,
}

/// What distinguishes requests.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Request {
    /// `GET`.
    pub method: String,
    /// The path without the query.
    pub path: String,
    /// The parameters, decoded and sorted.
    pub query: Vec<(String, String)>,
}

/// How an exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// With the complete answer.
    Whole,
    /// The connection broke.
    Reset,
    /// The client's timeout passed without further bytes.
    Timeout,
    /// The answer exceeded the client's size limit.
    TooLarge,
}

/// Exchanges to play back. Each request gets the answers recorded for it, in order, whatever
/// is requested in between. Other requests are errors.
#[derive(Debug, Default)]
pub struct Recording {
    exchanges: Vec<Recorded>,
    left: Mutex<BTreeMap<Request, VecDeque<Recorded>>>,
    unexpected: Mutex<Vec<Request>>,
}

impl Recording {
    /// Reads all exchanges of a folder.
    ///
    /// # Errors
    /// If the folder contains no exchange, or one with another format.
    pub fn read(folder: &Path) -> Result<Self> {
        let mut exchanges = Vec::new();
        for entry in fs::read_dir(folder).with_context(|| format!("no recording {}", folder.display()))? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "http") {
                let read = Recorded::parse(&Bytes::from(fs::read(&path)?));
                exchanges.push(read.with_context(|| format!("can't read {}", path.display()))?);
            }
        }
        ensure!(!exchanges.is_empty(), "the recording {} is empty", folder.display());
        exchanges.sort_by(|one, other| (&one.request, one.asked).cmp(&(&other.request, other.asked)));
        let mut left: BTreeMap<_, VecDeque<_>> = BTreeMap::new();
        for exchange in &exchanges {
            left.entry(exchange.request.clone()).or_default().push_back(exchange.clone());
        }
        Ok(Self { exchanges, left: Mutex::new(left), unexpected: Mutex::default() })
    }

    /// All exchanges, by request and then in the order in which they were recorded.
    #[must_use]
    pub fn exchanges(&self) -> &[Recorded] {
        &self.exchanges
    }

    /// Requests that were not recorded, or not as often.
    #[must_use]
    pub fn unexpected(&self) -> Vec<Request> {
        self.unexpected.lock().clone()
    }

    /// Exchanges that were not requested yet.
    #[must_use]
    pub fn unplayed(&self) -> Vec<Recorded> {
        self.left.lock().values().flatten().cloned().collect()
    }

    /// Takes the next answer to a request.
    pub(super) fn take(&self, asked: &ReceivedRequest) -> Option<Recorded> {
        let request = Request::of(asked);
        let taken = self.left.lock().get_mut(&request).and_then(VecDeque::pop_front);
        if taken.is_none() {
            self.unexpected.lock().push(request);
        }
        taken
    }
}

impl Request {
    fn of(asked: &ReceivedRequest) -> Self {
        let mut query = asked.query.clone();
        query.sort();
        Self { method: asked.method.to_string(), path: asked.path.clone(), query }
    }
}

impl Recorded {
    fn parse(file: &Bytes) -> Result<Self> {
        let head = file.windows(2).position(|pair| pair == b"\n\n").context("no blank line ends the head")?;
        let mut fields = Vec::new();
        for line in std::str::from_utf8(&file[..head])?.lines() {
            let (name, value) = line.split_once(':').with_context(|| format!("no field: {line:?}"))?;
            fields.push((name.to_owned(), value.trim().to_owned()));
        }
        let mut take = |name: &str| {
            let at = fields.iter().position(|(known, _)| known == name)?;
            Some(fields.remove(at).1)
        };
        let mut query: Vec<_> =
            form_urlencoded::parse(take("query").context("no query")?.as_bytes()).into_owned().collect();
        query.sort();
        let request = Request {
            method: take("method").context("no method")?,
            path: take("path").context("no path")?,
            query,
        };
        Ok(Self {
            request,
            asked: take("asked").context("no number")?.parse()?,
            ended: Ended::parse(&take("ended").context("no end")?)?,
            status: take("status").map(|status| status.parse()).transpose()?,
            headers: fields,
            body: file.slice(head + 2..),
        })
    }
}

impl Ended {
    fn parse(text: &str) -> Result<Self> {
        Ok(match text {
            "whole" => Self::Whole,
            "reset" => Self::Reset,
            "timeout" => Self::Timeout,
            "too-large" => Self::TooLarge,
            other => bail!("no way to end: {other:?}"),
        })
    }
}
