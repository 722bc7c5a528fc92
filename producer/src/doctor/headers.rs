//! What the headers of an answer show: the region and the clock of the API.

use std::time::SystemTime;

use catalog_shared::doctor::Finding;
use catalog_shared::human::span;
use catalog_shared::region::Region;
use reqwest::Url;

use super::next;
use super::rules::Rule;
use crate::api::region_check::is_named_in;

/// A difference of clocks that distorts times, and one that certificates don't survive.
const CLOCK_WARNING: u64 = 5;
const CLOCK_PROBLEM: u64 = 300;

/// The region that the answer names.
pub(super) fn region_header(rule: Rule, value: Option<&str>) -> Finding {
    let Rule { check, region } = rule;
    match value {
        None => rule.differs("the response has no header X-Socrata-Region, so a wrong region goes unnoticed"),
        Some(value) if is_named_in(region, value) => {
            Finding::ok(check, format!("X-Socrata-Region is {value}"))
        }
        Some(value) => match Region::ALL.iter().find(|other| is_named_in(**other, value)) {
            Some(other) => Finding::problem(
                check,
                format!("another region answered: X-Socrata-Region is {value}"),
                next::other_region(*other),
            ),
            None => rule.differs(format!("X-Socrata-Region is {value}, which names no known region")),
        },
    }
}

/// The clock of the API's server, from the header `Date`, against ours.
pub(super) fn clock(check: &'static str, date: Option<SystemTime>, ours: SystemTime, url: &Url) -> Finding {
    let Some(date) = date else { return Finding::skipped(check, "the response has no header Date") };
    let (difference, direction) = match ours.duration_since(date) {
        Ok(ahead) => (ahead, "ahead of"),
        Err(behind) => (behind.duration(), "behind"),
    };
    let found = format!("this host's clock is {} {direction} the API's", span(difference.as_secs()));
    match difference.as_secs() {
        CLOCK_PROBLEM.. => Finding::problem(check, found, next::clock(url)),
        CLOCK_WARNING.. => Finding::warning(check, found, next::clock(url)),
        _ => Finding::ok(check, "this host's clock agrees with the API's"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use catalog_shared::doctor::Level;

    use super::*;

    const CHECK: &str = "rule";

    #[test]
    fn the_header_names_the_region() {
        let level = |value| region_header(Rule { check: CHECK, region: Region::Us }, value).level;
        assert_eq!(level(Some("aws-us-east-1-fedramp-prod")), Level::Ok);
        assert_eq!(level(Some("aws-eu-west-1-prod")), Level::Problem);
        assert_eq!([level(None), level(Some("mirror"))], [Level::Warning; 2]);
    }

    #[test]
    fn clocks_are_judged_in_both_directions() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let url: Url = "https://api.example/api".parse().unwrap();
        let level = |date| clock(CHECK, Some(date), now, &url).level;
        assert_eq!([level(now), level(now + Duration::from_secs(4))], [Level::Ok; 2]);
        assert_eq!(level(now - Duration::from_secs(60)), Level::Warning);
        assert_eq!(level(now + Duration::from_secs(600)), Level::Problem);
        assert_eq!(clock(CHECK, None, now, &url).level, Level::Skipped);
    }
}
