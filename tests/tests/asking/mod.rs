//! A client that asks a double and says all that came back.

use std::sync::{Arc, LazyLock};

use catalog_tests::double::Double;
use reqwest::Client;
use reqwest::header::HeaderMap;
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

    /// A text of each result's `resource`.
    pub(crate) fn field(&self, name: &str) -> Vec<String> {
        let results = self.results();
        results.iter().map(|result| result["resource"][name].as_str().expect("a text").to_owned()).collect()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("a text"))
    }
}

/// One for all tests: making one reads the system's certificates. Its connections are not shared, for each
/// double has a port of its own.
pub(crate) static CLIENT: LazyLock<Client> = LazyLock::new(Client::new);

/// Asks for what comes after the catalog's URL, such as `?limit=5` or `/domains`.
pub(crate) async fn get(double: &Double, rest: &str) -> Answer {
    read(CLIENT.get(format!("{}{rest}", double.url())).send().await.expect("an answer")).await
}

/// Asks in a task of its own, for answers that are late.
pub(crate) fn ask_aside(double: &Arc<Double>, rest: &'static str) -> JoinHandle<Answer> {
    let double = Arc::clone(double);
    tokio::spawn(async move { get(&double, rest).await })
}

/// Reads an answer to its end.
pub(crate) async fn read(response: reqwest::Response) -> Answer {
    Answer {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        text: response.text().await.expect("a whole body"),
    }
}
