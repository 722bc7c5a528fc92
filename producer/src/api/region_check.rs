//! Whose catalog an answer is of.

use bytes::Bytes;
use catalog_shared::region::Region;
use reqwest::header::{HeaderMap, HeaderValue};

use crate::api::error::ApiError;
use crate::api::redact::Redactor;

/// Refuses the other region's answer. One that names no region that is known here may be a mirror's.
///
/// # Errors
/// [`ApiError::OtherRegion`] with what the answer's header reads.
pub(crate) fn check(crawled: Region, headers: &HeaderMap, redactor: &Redactor) -> Result<(), ApiError> {
    let told = headers.get("X-Socrata-Region").map_or(&b""[..], HeaderValue::as_bytes);
    let told = redactor.hide(Bytes::copy_from_slice(told));
    let told = String::from_utf8_lossy(&told);
    let names = |region: &Region| told.split('-').any(|part| part.eq_ignore_ascii_case(region.name()));
    match Region::ALL.iter().find(|region| names(region)) {
        Some(other) if *other != crawled => Err(ApiError::OtherRegion(told.into_owned())),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;

    /// Why an answer with this header is refused, if it is.
    fn refusal(crawled: Region, told: &str) -> Option<String> {
        let headers = [("X-Socrata-Region".parse().unwrap(), told.parse().unwrap())];
        let redactor = Redactor::new(Some(&SecretString::from("abcdefghijklm")));
        check(crawled, &HeaderMap::from_iter(headers), &redactor).err().map(|error| error.to_string())
    }

    #[test]
    fn only_the_other_region_is_refused() {
        for (crawled, own, other) in [
            (Region::Us, "aws-us-east-1-fedramp-prod", "aws-eu-west-1-prod"),
            (Region::Eu, "aws-eu-west-1-prod", "aws-us-east-1-fedramp-prod"),
        ] {
            assert!(refusal(crawled, other).is_some_and(|told| told.contains(other)));
            assert_eq!([own, "mirror", ""].map(|told| refusal(crawled, told)), [None, None, None]);
        }
    }

    #[test]
    fn a_token_that_is_quoted_there_is_hidden() {
        let told = refusal(Region::Us, "aws-eu-abcdefghijklm").unwrap();
        assert!(told.contains("aws-eu-***") && !told.contains("abcdefghijklm"), "{told}");
    }
}
