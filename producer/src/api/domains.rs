//! Parses the answer of `/domains`: all domains with their number of assets.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::api::error::ApiError;
use crate::api::scanner;
use crate::model::domains::Domains;

/// Reads each entry separately, so that an invalid one does not affect the others.
///
/// # Errors
/// [`ApiError::Incomplete`] for JSON that ends early, [`ApiError::Unreadable`] for anything that is not JSON or
/// has no `results`.
pub(crate) fn read(body: &Bytes) -> Result<Domains, ApiError> {
    #[derive(Deserialize)]
    struct Answer<'a> {
        #[serde(borrow)]
        results: Vec<&'a RawValue>,
    }
    let answer: Answer<'_> = serde_json::from_slice(body).map_err(|error| ApiError::of_json(&error, body))?;
    Ok(of_entries(answer.results.into_iter().map(|entry| body.slice_ref(entry.get().as_bytes()))))
}

/// Reads an answer that is not JSON: its entries are separated by strings and brackets.
///
/// # Errors
/// Like [`read`], if these don't match either.
pub(crate) fn read_leniently(body: &Bytes) -> Result<Domains, ApiError> {
    match scanner::results(body) {
        Some(ranges) => Ok(of_entries(ranges.into_iter().map(|range| body.slice(range)))),
        None => read(body),
    }
}

fn of_entries(entries: impl Iterator<Item = Bytes>) -> Domains {
    #[derive(Deserialize)]
    struct Declared {
        domain: String,
        count: u64,
    }
    let mut domains = Domains::default();
    for entry in entries {
        match serde_json::from_slice::<Declared>(&entry) {
            Ok(entry) => drop(domains.declared.insert(entry.domain, entry.count)),
            Err(_) => domains.unreadable.push(entry),
        }
    }
    domains
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::api::error::Retries;

    #[test]
    fn html_is_refused_with_an_excerpt() {
        let error = read(&Bytes::from_static(b"<html>busy</html>")).unwrap_err();
        assert_eq!(error.retries(), Retries::UntilBudget);
        assert!(error.to_string().contains("<html>busy"), "{error}");
    }

    #[test]
    fn an_entry_that_is_not_json_does_not_affect_others() {
        let body = Bytes::from_static(
            b"{\"results\":[{\"domain\":\"caf\xe9\",\"count\":1},{\"domain\":\"a.example\",\"count\":7}]}",
        );
        assert!(matches!(read(&body), Err(ApiError::Unreadable(_))));
        let domains = read_leniently(&body).unwrap();
        assert_eq!(domains.declared, BTreeMap::from([("a.example".into(), 7)]));
        assert_eq!(domains.unreadable.len(), 1);
        assert!(read_leniently(&Bytes::from_static(b"<html>")).is_err());
    }

    #[test]
    fn an_invalid_entry_is_kept_as_received_and_does_not_affect_others() {
        let invalid =
            [r#"{"domain":"b.example"}"#, r#"{"domain":7,"count":7}"#, r#"{"domain":"c","count":-1}"#, "7"];
        let good = r#"{"domain":"a.example","count":7,"more":[]}"#;
        let body = format!(r#"{{"results":[{},{good}]}}"#, invalid.join(", "));
        let domains = read(&Bytes::from(body)).unwrap();
        assert_eq!(domains.declared, BTreeMap::from([("a.example".into(), 7)]));
        assert_eq!(domains.unreadable, invalid);
    }
}
