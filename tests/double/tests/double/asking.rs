//! A client that sends requests to a mock server and returns the complete answers.

use std::io::Read;
use std::sync::{Arc, LazyLock};

use discovery_double::mock_server::MockServer;
use flate2::read::GzDecoder;
use reqwest::Client;
use reqwest::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderMap};
use serde_json::Value;
use tokio::task::JoinHandle;

/// An answer, read to its end.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error} in {}", self.text))
    }

    pub(crate) fn error(&self) -> String {
        self.json()["error"].as_str().expect("an error").to_owned()
    }

    pub(crate) fn results(&self) -> Vec<Value> {
        self.json()["results"].as_array().expect("results").clone()
    }

    pub(crate) fn size(&self) -> u64 {
        self.json()["resultSetSize"].as_u64().expect("resultSetSize")
    }

    pub(crate) fn ids(&self) -> Vec<String> {
        self.field("id")
    }

    /// A text field of each result's `resource`.
    pub(crate) fn field(&self, name: &str) -> Vec<String> {
        let results = self.results();
        results.iter().map(|result| result["resource"][name].as_str().expect("a text").to_owned()).collect()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("a text"))
    }
}

/// One client for all tests of a process, without certificates, because reading the system's takes half a second and mock
/// servers use plain HTTP. It decodes nothing by itself, so a test sees the sent bytes.
pub(crate) static CLIENT: LazyLock<Client> =
    LazyLock::new(|| Client::builder().tls_certs_only([]).build().expect("a client"));

/// Sends a request to the catalog's URL followed by `rest`, such as `?limit=5` or `/domains`.
pub(crate) async fn get(api: &MockServer, rest: &str) -> Answer {
    let request = CLIENT.get(format!("{}{rest}", api.url())).header(ACCEPT_ENCODING, "gzip");
    read(request.send().await.expect("an answer")).await
}

/// Sends a request in a separate task, for responses that come late.
pub(crate) fn get_in_background(api: &Arc<MockServer>, rest: &'static str) -> JoinHandle<Answer> {
    let api = Arc::clone(api);
    tokio::spawn(async move { get(&api, rest).await })
}

/// Reads a response to its end, and decompresses it if its header says so.
pub(crate) async fn read(response: reqwest::Response) -> Answer {
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = response.bytes().await.expect("a whole body");
    let text = match headers.get(CONTENT_ENCODING) {
        Some(encoding) => {
            assert_eq!(encoding, "gzip");
            let mut text = String::new();
            GzDecoder::new(&body[..]).read_to_string(&mut text).expect("gzip");
            text
        }
        None => String::from_utf8(body.to_vec()).expect("UTF-8"),
    };
    Answer { status, headers, text }
}
