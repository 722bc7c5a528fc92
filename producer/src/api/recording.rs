//! Cassettes: each exchange with the API kept as a file that people can read and diff. The format is
//! told in `docs/cassettes.md`; what plays it back shares no code with this.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use reqwest::header::HeaderMap;
use reqwest::{Response, StatusCode, Url};

use crate::api::body::{self, Limits};
use crate::api::error::{ApiError, Incomplete};
use crate::api::redact::Redactor;

/// The headers of an answer that are kept. Only what a crawl looks at: others may hold cookies or the
/// addresses of machines, and ids that differ each time would drown every diff.
const HEADERS: [&str; 3] = ["content-type", "retry-after", "x-socrata-region"];
const SUFFIX: &str = ".http";
/// The longest name of a file before its number, in bytes; file systems take 255. Of a longer one the middle is
/// left out, where a list of domains stands: the end tells which page it is.
const STEM: usize = 160;
const STEM_END: usize = 60;
/// How much of a hash then tells apart what differs in the middle alone.
const STEM_HASH: usize = 8;

/// A request and what came back of its answer, be it all, a part or nothing.
pub(crate) struct Exchange {
    path: String,
    /// Sorted and encoded, so that equal requests read the same.
    query: String,
    status: Option<StatusCode>,
    headers: HeaderMap,
    body: BytesMut,
}

impl Exchange {
    /// A request that is about to be sent, and a buffer for the answer's body.
    pub(crate) fn asked(url: &Url, body: BytesMut) -> Self {
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

    /// Takes the answer in, with a body within these limits. What had come before an error stays.
    pub(crate) async fn read(
        &mut self,
        response: Response,
        limits: Limits,
        received: impl Fn(usize),
    ) -> Result<(), ApiError> {
        self.status = Some(response.status());
        self.headers.clone_from(response.headers());
        body::read(response, &mut self.body, limits, received).await
    }

    /// The answer's status, if there was any.
    pub(crate) const fn status(&self) -> Option<StatusCode> {
        self.status
    }

    /// The answer's headers.
    pub(crate) const fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The body as far as it came.
    pub(crate) fn into_body(self) -> BytesMut {
        self.body
    }

    /// What the file's name says of the request: readable, and the same for equal requests.
    fn stem(&self) -> String {
        let asked = format!("{} {}", self.path.trim_matches('/'), self.query.replace('=', "-"));
        let legal = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-') { c } else { '_' };
        let stem: String = asked.trim_end().chars().map(legal).collect();
        if stem.len() <= STEM {
            return stem;
        }
        let hash = blake3::hash(asked.as_bytes()).to_hex();
        let begin = &stem[..STEM - STEM_END - STEM_HASH - "..-".len()];
        format!("{begin}..{}-{}", &stem[stem.len() - STEM_END..], &hash[..STEM_HASH])
    }

    fn render(&self, time: u32, ended: &str) -> Vec<u8> {
        let mut lines =
            vec!["method: GET".to_owned(), format!("path: {}", self.path), format!("query: {}", self.query)];
        lines.extend([format!("asked: {time}"), format!("ended: {ended}")]);
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

/// How an exchange ended, in a file's word for it.
fn ending(error: Option<&ApiError>) -> &'static str {
    match error {
        None => "whole",
        Some(ApiError::Incomplete { reason: Incomplete::Late | Incomplete::Slow { .. }, .. }) => "timeout",
        Some(ApiError::Incomplete { reason: Incomplete::TooLarge(_), .. }) => "too-large",
        Some(_) => "reset",
    }
}

/// Writes exchanges into a folder.
pub(crate) struct Recorder {
    folder: PathBuf,
    redactor: Redactor,
    /// How often each request has been recorded.
    recorded: Mutex<HashMap<String, u32>>,
}

impl Recorder {
    /// Makes the folder if need be. What it holds is continued: a crawl that is resumed goes on with its
    /// cassette.
    pub(crate) fn open(folder: &Path, redactor: Redactor) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let mut recorded = HashMap::new();
        for entry in std::fs::read_dir(folder)? {
            if let Some((stem, time)) = entry?.file_name().to_str().and_then(stem_and_time) {
                let last = recorded.entry(stem.to_owned()).or_default();
                *last = time.max(*last);
            }
        }
        Ok(Self { folder: folder.to_owned(), redactor, recorded: Mutex::new(recorded) })
    }

    /// Keeps an exchange. A file is there as a whole or not at all, whenever the process is killed.
    pub(crate) async fn keep(&self, exchange: &Exchange, error: Option<&ApiError>) -> io::Result<()> {
        let stem = exchange.stem();
        let time = self.next_time(&stem);
        let file = exchange.render(time, ending(error));
        let file = self.redactor.hide(Bytes::from(file));
        let path = self.folder.join(format!("{stem}.{time:03}{SUFFIX}"));
        let unfinished = path.with_extension("unfinished");
        tokio::fs::write(&unfinished, &file).await?;
        tokio::fs::rename(&unfinished, &path).await
    }

    fn next_time(&self, stem: &str) -> u32 {
        let mut recorded = self.recorded.lock().unwrap_or_else(PoisonError::into_inner);
        let time = recorded.entry(stem.to_owned()).or_default();
        *time += 1;
        *time
    }
}

fn stem_and_time(name: &str) -> Option<(&str, u32)> {
    let (stem, time) = name.strip_suffix(SUFFIX)?.rsplit_once('.')?;
    Some((stem, time.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn exchange(url: &str) -> Exchange {
        Exchange::asked(&url.parse().unwrap(), BytesMut::new())
    }

    #[test]
    fn equal_requests_read_the_same_whatever_the_order_of_their_parameters() {
        let one = exchange("http://127.0.0.1:1/api/catalog/v1?scroll_id=&limit=20&order=a%20DESC");
        let other = exchange("http://127.0.0.1:2/api/catalog/v1?order=a+DESC&limit=20&scroll_id=");
        assert_eq!(one.render(1, "whole"), other.render(1, "whole"));
        assert_eq!(one.stem(), "api_catalog_v1_limit-20_order-a_DESC_scroll_id-");
        assert_eq!(exchange("http://h.example/v1/domains").stem(), "v1_domains");
    }

    #[test]
    fn a_long_list_of_domains_leaves_each_page_a_name_of_its_own() {
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
        // They differ where the name has a gap.
        assert_ne!(page(&domains.replace("data12", "data99"), "aaaa-aaaa"), one);
    }

    #[test]
    fn an_answer_that_is_too_large_ended_as_such() {
        let ended = |reason| ending(Some(&ApiError::incomplete(reason, b"", None)));
        let slow = Incomplete::Slow { floor: 9, window: Duration::ZERO };
        let ends = [Incomplete::TooLarge(9), Incomplete::Late, slow, Incomplete::CutOff].map(ended);
        assert_eq!((ends, ending(None)), (["too-large", "timeout", "timeout", "reset"], "whole"));
    }

    #[test]
    fn only_listed_headers_are_kept_and_the_body_is_as_it_came() {
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
    fn a_files_name_tells_its_number_and_anything_else_is_not_counted() {
        assert_eq!(stem_and_time("v1_limit-2.scroll.012.http"), Some(("v1_limit-2.scroll", 12)));
        assert_eq!(stem_and_time("v1.001.unfinished"), None);
        assert_eq!(stem_and_time("README.md"), None);
    }
}
