//! Checks which region an answer comes from.

use bytes::Bytes;
use catalog_shared::region::Region;
use reqwest::header::{HeaderMap, HeaderValue};

use crate::api::error::ApiError;
use crate::api::redact::Redactor;

/// Refuses an answer of another region. An answer without a known region may come from a mirror.
///
/// # Errors
/// [`ApiError::OtherRegion`] with the value of the answer's header.
pub(crate) fn check(crawled: Region, headers: &HeaderMap, redactor: &Redactor) -> Result<(), ApiError> {
    let value = headers.get("X-Socrata-Region").map_or(&b""[..], HeaderValue::as_bytes);
    let value = redactor.redact(Bytes::copy_from_slice(value));
    let value = String::from_utf8_lossy(&value);
    match Region::ALL.iter().find(|region| is_named_in(**region, &value)) {
        Some(other) if *other != crawled => Err(ApiError::OtherRegion(value.into_owned())),
        _ => Ok(()),
    }
}

/// Whether the header X-Socrata-Region names a region, as in `aws-us-east-1-fedramp-prod`.
pub(crate) fn is_named_in(region: Region, header: &str) -> bool {
    header.split('-').any(|part| part.eq_ignore_ascii_case(region.name()))
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;

    /// The error for an answer with this header, if it is refused.
    fn refusal(crawled: Region, value: &str) -> Option<String> {
        let headers = [("X-Socrata-Region".parse().unwrap(), value.parse().unwrap())];
        let redactor = Redactor::new(Some(&SecretString::from("abcdefghijklm")));
        check(crawled, &HeaderMap::from_iter(headers), &redactor).err().map(|error| error.to_string())
    }

    #[test]
    fn only_the_other_region_is_refused() {
        for (crawled, own, other) in [
            (Region::Us, "aws-us-east-1-fedramp-prod", "aws-eu-west-1-prod"),
            (Region::Eu, "aws-eu-west-1-prod", "aws-us-east-1-fedramp-prod"),
        ] {
            assert!(refusal(crawled, other).is_some_and(|error| error.contains(other)));
            assert_eq!([own, "mirror", ""].map(|value| refusal(crawled, value)), [None, None, None]);
        }
    }

    #[test]
    fn a_token_in_the_header_is_redacted() {
        let error = refusal(Region::Us, "aws-eu-abcdefghijklm").unwrap();
        assert!(error.contains("aws-eu-***") && !error.contains("abcdefghijklm"), "{error}");
    }
}
