//! The answer of `/domains`: every domain at once, with how many assets it has.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::discover::error::ApiError;

/// How many assets each domain has.
pub(crate) fn read(body: &[u8]) -> Result<BTreeMap<String, u64>, ApiError> {
    #[derive(Deserialize)]
    struct Answer {
        results: Vec<Declared>,
    }
    #[derive(Deserialize)]
    struct Declared {
        domain: String,
        count: u64,
    }
    let answer: Answer = serde_json::from_slice(body).map_err(|error| ApiError::of_json(&error, body))?;
    Ok(answer.results.into_iter().map(|told| (told.domain, told.count)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discover::error::Worth;

    #[test]
    fn html_for_json_is_told_with_its_beginning() {
        let error = read(b"<html>busy</html>").unwrap_err();
        assert_eq!(error.worth(), Worth::Budget);
        assert!(error.to_string().contains("<html>busy"), "{error}");
    }
}
