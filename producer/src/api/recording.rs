//! Records each exchange with the API as a file that people can read and diff. `docs/reference/recordings.md` documents the format.
//! The program that replays recordings shares no code with this.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use reqwest::header::HeaderMap;
use reqwest::{Response, StatusCode, Url};

use crate::api::body::{self, BodyLimits};
use crate::api::error::{ApiError, Incomplete};
use crate::api::redact::Redactor;

/// The recorded headers of an answer: only those that a crawl reads. Others may contain cookies or addresses of machines,
/// and random ids would clutter every diff.
const HEADERS: [&str; 3] = ["content-type", "retry-after", "x-socrata-region"];
const SUFFIX: &str = ".http";
/// The maximum length of a file name before its number, in bytes; file systems allow 255. The middle of a longer one, with
/// the list of domains, is omitted. The end, with the page's position, is kept.
const STEM: usize = 160;
const STEM_END: usize = 60;
/// The length of the hash that then distinguishes names with different middles.
const STEM_HASH: usize = 8;

/// A request, and the received part of its answer.
pub(crate) struct Exchange {
    path: String,
    /// Sorted and encoded, so that equal requests are written equally.
    query: String,
    status: Option<StatusCode>,
    headers: HeaderMap,
    body: BytesMut,
}

impl Exchange {
    /// A request that is about to be sent, and a buffer for the answer's body.
    pub(crate) fn new(url: &Url, body: BytesMut) -> Self {
        let mut pairs: Vec<_> = url.query_pairs().into_owned().collect();
        pairs.sort();
        let mut sorted = url.clone();
        sorted.query_pairs_mut().clear().extend_pairs(pairs);
        Self {
            path: url.path().to_owned(),
            query: sorted.query().unwrap_or_default().to_owned(),
            status: None,
            headers: HeaderMap::new(),
            body,
        }
    }

    /// Reads the answer, with a body within these limits. The part received before an error is kept.
    pub(crate) async fn read(
        &mut self,
        response: Response,
        limits: BodyLimits,
        received: impl Fn(usize),
    ) -> Result<(), ApiError> {
        self.status = Some(response.status());
        self.headers.clone_from(response.headers());
        body::read(response, &mut self.body, limits, received).await
    }

    /// The answer's status, if there is one.
    pub(crate) const fn status(&self) -> Option<StatusCode> {
        self.status
    }

    /// The answer's headers.
    pub(crate) const fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The received part of the body.
    pub(crate) fn into_body(self) -> BytesMut {
        self.body
    }

    /// The file name of the request without its number: readable, and the same for equal requests.
    fn stem(&self) -> String {
        let request = format!("{} {}", self.path.trim_matches('/'), self.query.replace('=', "-"));
        let legal = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-') { c } else { '_' };
        let stem: String = request.trim_end().chars().map(legal).collect();
        if stem.len() <= STEM {
            return stem;
        }
        let hash = blake3::hash(request.as_bytes()).to_hex();
        let start = &stem[..STEM - STEM_END - STEM_HASH - "..-".len()];
        format!("{start}..{}-{}", &stem[stem.len() - STEM_END..], &hash[..STEM_HASH])
    }

    fn render(&self, occurrence: u32, ended: &str) -> Vec<u8> {
        let mut lines =
            vec!["method: GET".to_owned(), format!("path: {}", self.path), format!("query: {}", self.query)];
        lines.extend([format!("asked: {occurrence}"), format!("ended: {ended}")]);
        lines.extend(self.status.map(|status| format!("status: {}", status.as_u16())));
        for name in HEADERS {
            let values = self.headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
            lines.extend(values.map(|value| format!("{name}: {value}")));
        }
        let mut file = lines.join("\n").into_bytes();
        file.extend_from_slice(b"\n\n");
        file.extend_from_slice(&self.body);
        file
    }
}

/// How an exchange ended, as written in the file.
fn ending(error: Option<&ApiError>) -> &'static str {
    match error {
        None => "whole",
        Some(ApiError::Incomplete { reason: Incomplete::Late | Incomplete::Slow { .. }, .. }) => "timeout",
        Some(ApiError::Incomplete { reason: Incomplete::TooLarge(_), .. }) => "too-large",
        Some(_) => "reset",
    }
}

/// Writes exchanges to a folder.
pub(crate) struct ExchangeRecorder {
    folder: PathBuf,
    redactor: Redactor,
    /// The number of recordings of each request.
    recorded: Mutex<HashMap<String, u32>>,
}

impl ExchangeRecorder {
    /// Creates the folder if it is missing. Existing recordings are continued, so that a resumed crawl can append to its
    /// recording.
    pub(crate) fn open(folder: &Path, redactor: Redactor) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let mut recorded = HashMap::new();
        for entry in std::fs::read_dir(folder)? {
            if let Some((stem, occurrence)) = entry?.file_name().to_str().and_then(stem_and_occurrence) {
                let last = recorded.entry(stem.to_owned()).or_default();
                *last = occurrence.max(*last);
            }
        }
        Ok(Self { folder: folder.to_owned(), redactor, recorded: Mutex::new(recorded) })
    }

    /// Writes an exchange. If the process is killed, the file is complete or missing.
    pub(crate) async fn write(&self, exchange: &Exchange, error: Option<&ApiError>) -> io::Result<()> {
        let stem = exchange.stem();
        let occurrence = self.next_occurrence(&stem);
        let file = exchange.render(occurrence, ending(error));
        let file = self.redactor.redact(Bytes::from(file));
        let path = self.folder.join(format!("{stem}.{occurrence:03}{SUFFIX}"));
        let unfinished = path.with_extension("unfinished");
        tokio::fs::write(&unfinished, &file).await?;
        tokio::fs::rename(&unfinished, &path).await
    }

    fn next_occurrence(&self, stem: &str) -> u32 {
        let mut recorded = self.recorded.lock().unwrap_or_else(PoisonError::into_inner);
        let occurrence = recorded.entry(stem.to_owned()).or_default();
        *occurrence += 1;
        *occurrence
    }
}

fn stem_and_occurrence(name: &str) -> Option<(&str, u32)> {
    let (stem, occurrence) = name.strip_suffix(SUFFIX)?.rsplit_once('.')?;
    Some((stem, occurrence.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn exchange(url: &str) -> Exchange {
        Exchange::new(&url.parse().unwrap(), BytesMut::new())
    }

    #[test]
    fn equal_requests_are_written_equally_whatever_the_order_of_their_parameters() {
        let one = exchange("http://127.0.0.1:1/api/catalog/v1?scroll_id=&limit=20&order=a%20DESC");
        let other = exchange("http://127.0.0.1:2/api/catalog/v1?order=a+DESC&limit=20&scroll_id=");
        assert_eq!(one.render(1, "whole"), other.render(1, "whole"));
        assert_eq!(one.stem(), "api_catalog_v1_limit-20_order-a_DESC_scroll_id-");
        assert_eq!(exchange("http://h.example/v1/domains").stem(), "v1_domains");
    }

    #[test]
    fn a_long_list_of_domains_keeps_names_of_pages_distinct() {
        let domains = (0..20).map(|n| format!("data{n}.example")).collect::<Vec<_>>().join(",");
        let page = |domains: &str, after| {
            let url = format!("http://h.example/v1?domains={domains}&limit=20&scroll_id={after}");
            exchange(&url).stem()
        };
        let [one, next] = ["aaaa-aaaa", "bbbb-bbbb"].map(|after| page(&domains, after));
        assert!(
            one.starts_with("v1_domains-data0.example_2C") && one.contains("_limit-20_scroll_id-aaaa-aaaa-")
        );
        assert!(one.len() == STEM && one < next, "{one} {next}");
        // They differ in the omitted part.
        assert_ne!(page(&domains.replace("data12", "data99"), "aaaa-aaaa"), one);
    }

    #[test]
    fn incomplete_answers_are_written_with_their_cause() {
        let ended = |reason| ending(Some(&ApiError::incomplete(reason, b"", None)));
        let slow = Incomplete::Slow { min_bytes: 9, window: Duration::ZERO };
        let ends = [Incomplete::TooLarge(9), Incomplete::Late, slow, Incomplete::CutOff].map(ended);
        assert_eq!((ends, ending(None)), (["too-large", "timeout", "timeout", "reset"], "whole"));
    }

    #[test]
    fn only_listed_headers_are_recorded_and_the_body_is_unchanged() {
        let mut exchange = exchange("http://h.example/v1?limit=1");
        exchange.status = Some(StatusCode::TOO_MANY_REQUESTS);
        for (name, value) in [("set-cookie", "session=hunter2"), ("retry-after", "7"), ("x-amz-id", "9")] {
            exchange.headers.insert(name, value.parse().unwrap());
        }
        exchange.body.extend_from_slice(b"\xff\r\n\n");
        let file = exchange.render(2, "whole");
        let head =
            "method: GET\npath: /v1\nquery: limit=1\nasked: 2\nended: whole\nstatus: 429\nretry-after: 7\n\n";
        assert_eq!(file, [head.as_bytes(), b"\xff\r\n\n"].concat());
    }

    #[test]
    fn a_file_name_contains_its_number_and_other_files_are_ignored() {
        assert_eq!(stem_and_occurrence("v1_limit-2.scroll.012.http"), Some(("v1_limit-2.scroll", 12)));
        assert_eq!(stem_and_occurrence("v1.001.unfinished"), None);
        assert_eq!(stem_and_occurrence("README.md"), None);
    }
}
