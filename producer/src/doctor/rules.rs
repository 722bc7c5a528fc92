//! The rules of the API that a crawl relies on, each judged by one answer.

use catalog_shared::doctor::Finding;
use catalog_shared::human::{count, counted};
use catalog_shared::region::Region;

use super::next;
use crate::api::domains;
use crate::api::raw::RawAnswer;
use crate::model::idspace;
use crate::model::page::{Object, Page};

/// A rule, judged by one answer of a region's API.
#[derive(Clone, Copy)]
pub(super) struct Rule {
    /// The name of the check.
    pub(super) check: &'static str,
    pub(super) region: Region,
}

impl Rule {
    /// The page of an answer.
    ///
    /// # Errors
    /// The problem, if it is not a page of results.
    pub(super) fn page(self, answer: &RawAnswer) -> Result<Page, Finding> {
        if answer.status != 200 {
            let message = answer.api_message().unwrap_or_default();
            let found =
                format!("expected a page of results, but the API answered {}: {message}", answer.status);
            return Err(Finding::problem(self.check, found, next::record(self.region)));
        }
        answer
            .page()
            .map_err(|error| Finding::problem(self.check, error.to_string(), next::record(self.region)))
    }

    fn broken(self, found: impl Into<String>) -> Finding {
        Finding::problem(self.check, found, next::record(self.region))
    }

    /// A rule that makes errors visible. A crawl works without it.
    pub(super) fn differs(self, found: impl Into<String>) -> Finding {
        Finding::warning(self.check, found, next::record(self.region))
    }

    /// With an empty `scroll_id`, results come in the byte order of their ids.
    pub(super) fn empty_scroll(self, page: &Page) -> Finding {
        let ids: Vec<&str> = page.ids().collect();
        match ids.as_slice() {
            [] => self.broken("the catalog is empty"),
            ids if ids.is_sorted() => Finding::ok(
                self.check,
                format!("with an empty scroll_id, {} come in id order", results(ids.len())),
            ),
            ids => self.broken(format!("with an empty scroll_id, ids are not in order: {}", ids.join(", "))),
        }
    }

    /// The result after a bound is the next one of the first page.
    pub(super) fn follows(self, page: &Page, (bound, wanted): (&str, &str)) -> Finding {
        match page.ids().next() {
            Some(found) if found == wanted => {
                Finding::ok(self.check, format!("the result after {bound} is {wanted}"))
            }
            // An asset may have been added meanwhile.
            Some(found) if bound < found && found < wanted => {
                Finding::ok(self.check, format!("the result after {bound} is {found}, which is new"))
            }
            Some(found) => self.broken(format!("the result after {bound} is {found}, not {wanted}")),
            None => self.broken(format!("there is no result after {bound}, and {wanted} was expected")),
        }
    }

    /// Beyond the last id there is an empty page.
    pub(super) fn end(self, page: &Page) -> Finding {
        if page.objects.is_empty() {
            return Finding::ok(self.check, "the end of the catalog is an empty page");
        }
        self.broken(format!("beyond the largest id there are {}", results(page.objects.len())))
    }

    /// A page has as many results as were requested.
    pub(super) fn limit(self, page: &Page, wanted: usize) -> Finding {
        let found = page.objects.len();
        if found > wanted {
            return self.broken(format!("limit={wanted} returns {}", results(found)));
        }
        Finding::ok(self.check, format!("limit={wanted} returns {}", results(found)))
    }

    /// An invalid request is refused with one of these statuses, in a form that the producer can read.
    pub(super) fn refusal(self, answer: &RawAnswer, what: &str, statuses: &[u16]) -> Finding {
        let status = answer.status;
        let Some(message) = answer.api_message() else {
            return self.differs(format!("{what} is answered with {status} in an unknown form"));
        };
        if statuses.contains(&status) {
            return Finding::ok(self.check, format!("{what} is refused with {status}: {message}"));
        }
        self.differs(format!("{what} is answered with {status}: {message}"))
    }

    /// An unknown parameter is a filter that nothing passes.
    pub(super) fn unknown_parameter(self, answer: &RawAnswer) -> Finding {
        match (answer.status, answer.page()) {
            (200, Ok(page)) if page.objects.is_empty() => {
                Finding::ok(self.check, "an unknown parameter returns no results")
            }
            (200, Ok(_)) => self.differs("an unknown parameter is ignored"),
            (status, _) => self.differs(format!("an unknown parameter is answered with {status}")),
        }
    }

    /// `/domains` lists domains with their counts, and contains the domain of a result.
    pub(super) fn domains(self, answer: &RawAnswer, known: Option<&str>) -> Finding {
        let listed = match domains::read(&answer.body) {
            Ok(listed) if answer.status == 200 => listed,
            Ok(_) => return self.broken(format!("/domains answered {}", answer.status)),
            Err(error) => return self.broken(format!("/domains: {error}")),
        };
        let (number, unread) = (listed.declared.len() as u64, listed.unreadable.len() as u64);
        let total = count(listed.declared.values().sum());
        let found = format!("/domains lists {} with {total} assets", counted(number, "domain", "domains"));
        if number == 0 {
            return self.broken("/domains lists no domain");
        }
        if unread > 0 {
            return self.differs(format!("{found}, and {unread} entries that can't be read"));
        }
        match known.filter(|known| !listed.declared.contains_key(*known)) {
            Some(missing) => self.differs(format!("{found}, but not {missing}, which has assets")),
            None => Finding::ok(self.check, found),
        }
    }

    /// `order=updatedAt DESC` lists the newest updates first.
    pub(super) fn newest_first(self, page: &Page) -> Finding {
        let times: Vec<_> = page.objects.iter().filter_map(|object| object.updated_at).collect();
        if times.is_empty() {
            return self.broken("no result has a readable updatedAt");
        }
        if times.is_sorted_by(|one, next| one >= next) {
            return Finding::ok(self.check, "order=updatedAt DESC lists the newest updates first");
        }
        self.broken("order=updatedAt DESC is not sorted, so --since would miss changes")
    }

    /// `domains=` restricts the results to a domain.
    pub(super) fn of_domain(self, page: &Page, domain: &str) -> Finding {
        let other = page.objects.iter().filter_map(|object: &Object| object.domain.as_deref());
        match other.into_iter().find(|other| !other.eq_ignore_ascii_case(domain)) {
            _ if page.objects.is_empty() => {
                self.broken(format!("domains={domain} returns nothing, although it has assets"))
            }
            Some(other) => self.broken(format!("domains={domain} returns an asset of {other}")),
            None => Finding::ok(self.check, format!("domains={domain} returns only its assets")),
        }
    }
}

fn results(number: usize) -> String {
    counted(number as u64, "result", "results")
}

/// An id between two of the first page that no asset has, with the one that follows it.
pub(super) fn gap(page: &Page) -> Option<(String, &str)> {
    let ids: Vec<&str> = page.ids().collect();
    ids.windows(2).find_map(|pair| {
        let (low, high) = (idspace::number(pair[0])?, idspace::number(pair[1])?);
        (low + 1 < high).then(|| (idspace::id(low + 1), pair[1]))
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use catalog_shared::doctor::Level;
    use reqwest::header::HeaderMap;

    use super::*;
    use crate::model::page::tests::page as page_of;

    const RULE: Rule = Rule { check: "rule", region: Region::Us };

    fn answer(status: u16, body: &'static str) -> RawAnswer {
        let (headers, body) = (HeaderMap::new(), Bytes::from_static(body.as_bytes()));
        RawAnswer { status, headers, body, took: Duration::ZERO }
    }

    #[test]
    fn a_scroll_is_in_id_order_and_exclusive() {
        let level = |ids: &[&str]| RULE.empty_scroll(&page_of(ids)).level;
        assert_eq!(
            [level(&["aaaa-2222", "aaab-2222"]), level(&["b", "a"]), level(&[])],
            [Level::Ok, Level::Problem, Level::Problem]
        );
        let level = |ids: &[&str]| RULE.follows(&page_of(ids), ("b", "d")).level;
        assert_eq!([level(&["d", "e"]), level(&["c"])], [Level::Ok; 2]);
        assert_eq!([level(&["b"]), level(&["e"]), level(&[]), level(&["a"])], [Level::Problem; 4]);
    }

    #[test]
    fn a_gap_between_two_ids_has_a_well_formed_id() {
        let page = page_of(&["2222-2222", "2222-2223", "2222-2226"]);
        assert_eq!(gap(&page), Some(("2222-2224".to_owned(), "2222-2226")));
        assert_eq!(gap(&page_of(&["2222-2222", "2222-2223"])), None);
        assert_eq!(gap(&page_of(&["0000-0000", "2222-2223"])), None);
    }

    #[test]
    fn the_end_is_an_empty_page_and_a_limit_is_a_maximum() {
        assert_eq!(RULE.end(&page_of(&[])).level, Level::Ok);
        assert_eq!(RULE.end(&page_of(&["a"])).level, Level::Problem);
        let level = |ids: &[&str]| RULE.limit(&page_of(ids), 2).level;
        assert_eq!([level(&["a"]), level(&["a", "b"])], [Level::Ok; 2]);
        assert_eq!(level(&["a", "b", "c"]), Level::Problem);
    }

    #[test]
    fn refusals_have_a_status_and_one_of_two_forms() {
        let level = |status, body| RULE.refusal(&answer(status, body), "it", &[400]).level;
        assert_eq!(level(400, r#"{"error":"no"}"#), Level::Ok);
        assert_eq!(level(400, r#"{"code":"x","error":true,"message":"no"}"#), Level::Ok);
        assert_eq!([level(200, r#"{"results":[]}"#), level(400, "<html>")], [Level::Warning; 2]);
        assert_eq!(level(500, r#"{"error":"no"}"#), Level::Warning);
    }

    #[test]
    fn an_unknown_parameter_returns_nothing() {
        let level = |status, body| RULE.unknown_parameter(&answer(status, body)).level;
        assert_eq!(level(200, r#"{"results":[]}"#), Level::Ok);
        assert_eq!(level(200, r#"{"results":[{"resource":{"id":"aaaa-2222"}}]}"#), Level::Warning);
        assert_eq!(level(400, r#"{"error":"no"}"#), Level::Warning);
    }

    #[test]
    fn domains_list_the_domain_of_a_result() {
        let body = r#"{"results":[{"domain":"a.example","count":7}]}"#;
        let level = |status, body, known| RULE.domains(&answer(status, body), known).level;
        assert_eq!(level(200, body, Some("a.example")), Level::Ok);
        assert_eq!(level(200, body, Some("b.example")), Level::Warning);
        assert_eq!(level(200, r#"{"results":[]}"#, None), Level::Problem);
        assert_eq!(level(200, "<html>", None), Level::Problem);
    }
}
