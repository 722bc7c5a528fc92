//! The answer of `/domains`: every domain at once, with how many assets it has.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::api::error::ApiError;
use crate::api::scanner;
use crate::model::domains::Domains;

/// Reads each entry by itself: an odd one is no reason to do without the others.
///
/// # Errors
/// [`ApiError::Incomplete`] for JSON that stops in the middle, [`ApiError::Unreadable`] for what isn't JSON or
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

/// Reads an answer that is no JSON: its entries are told apart by strings and brackets.
///
/// # Errors
/// As [`read`], where these don't match either.
pub(crate) fn read_loosely(body: &Bytes) -> Result<Domains, ApiError> {
    match scanner::results(body) {
        Some(places) => Ok(of_entries(places.into_iter().map(|place| body.slice(place)))),
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
            Ok(told) => drop(domains.declared.insert(told.domain, told.count)),
            Err(_) => domains.unreadable.push(entry),
        }
    }
    domains
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::api::error::Worth;

    #[test]
    fn html_for_json_is_told_with_its_beginning() {
        let error = read(&Bytes::from_static(b"<html>busy</html>")).unwrap_err();
        assert_eq!(error.worth(), Worth::Budget);
        assert!(error.to_string().contains("<html>busy"), "{error}");
    }

    #[test]
    fn an_entry_that_is_no_json_costs_no_other() {
        let body = Bytes::from_static(
            b"{\"results\":[{\"domain\":\"caf\xe9\",\"count\":1},{\"domain\":\"a.example\",\"count\":7}]}",
        );
        assert!(matches!(read(&body), Err(ApiError::Unreadable(_))));
        let told = read_loosely(&body).unwrap();
        assert_eq!(told.declared, BTreeMap::from([("a.example".into(), 7)]));
        assert_eq!(told.unreadable.len(), 1);
        assert!(read_loosely(&Bytes::from_static(b"<html>")).is_err());
    }

    #[test]
    fn an_odd_entry_is_kept_as_it_came_and_costs_no_other() {
        let odd =
            [r#"{"domain":"b.example"}"#, r#"{"domain":7,"count":7}"#, r#"{"domain":"c","count":-1}"#, "7"];
        let good = r#"{"domain":"a.example","count":7,"more":[]}"#;
        let body = format!(r#"{{"results":[{},{good}]}}"#, odd.join(", "));
        let told = read(&Bytes::from(body)).unwrap();
        assert_eq!(told.declared, BTreeMap::from([("a.example".into(), 7)]));
        assert_eq!(told.unreadable, odd);
    }
}
