//! The rules for query parameters, as in the API's public source.

use std::collections::{BTreeSet, HashSet};

use axum::http::StatusCode;
use serde_json::json;

use super::catalog::{Audience, Catalog};
use super::faults::edge_error;

/// The maximum of a page, of `offset + limit`, and of `resultSetSize`.
pub(super) const WINDOW: u64 = 10_000;

const DEFAULT_LIMIT: u64 = 100;

/// Types that `only` accepts, in the singular. The API also accepts their plurals.
const KINDS: [&str; 13] = [
    "calendar",
    "chart",
    "datalens",
    "dataset",
    "federated_href",
    "file",
    "filter",
    "form",
    "href",
    "map",
    "measure",
    "story",
    "visualization",
];

/// Parameters that the API supports and the mock server does not. They are answered with a 501, so
/// that a missing feature of the mock server does not look like a behavior of the API.
const NOT_DOUBLED: [&str; 23] = [
    "approval_status",
    "attribution",
    "audience",
    "categories",
    "column_names",
    "derived",
    "derived_from",
    "explicitly_hidden",
    "for_user",
    "license",
    "locale",
    "min_should_match",
    "names",
    "parent_ids",
    "provenance",
    "public",
    "published",
    "q",
    "search_context",
    "shared_to",
    "show_visibility",
    "tags",
    "visibility",
];

/// Why a request gets no results.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    error: String,
    /// The edge's code, if the edge refuses the request.
    code: Option<&'static str>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, error: impl Into<String>) -> Self {
        Self { status, error: error.into(), code: None }
    }

    /// A refusal by the server in front of the search service.
    pub(super) fn by_the_edge(status: StatusCode, code: &'static str, message: &str) -> Self {
        Self { status, error: message.to_owned(), code: Some(code) }
    }

    /// The answer's body. Each of the two servers has its own form.
    pub(super) fn body(&self) -> String {
        match self.code {
            Some(code) => edge_error(code, &self.error),
            None => json!({ "error": self.error }).to_string(),
        }
    }

    fn bad(error: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error)
    }

    /// The API's answer to input that it fails to check.
    fn broken() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "We're sorry. Something went wrong.")
    }
}

/// A selection of assets.
#[derive(Debug, Default)]
pub(super) struct Filter {
    pub(super) domains: Option<HashSet<String>>,
    pub(super) kinds: Option<HashSet<String>>,
    pub(super) ids: Option<BTreeSet<String>>,
    /// An unknown parameter counts as a field of the domain's metadata, which no asset has.
    pub(super) nothing: bool,
    /// Domains excluded from this request: supplementary ones that it does not name, and
    /// locked-down ones.
    pub(super) hidden: HashSet<String>,
}

impl Filter {
    /// Whether it depends only on an asset's domain.
    pub(super) fn is_of_domains(&self) -> bool {
        self.kinds.is_none() && self.ids.is_none() && !self.nothing
    }

    /// Whether a domain's assets may be among the results.
    pub(super) fn covers(&self, domain: &str) -> bool {
        self.domains.as_ref().is_none_or(|domains| domains.contains(domain)) && !self.hidden.contains(domain)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.domains.is_none() && self.hidden.is_empty() && self.is_of_domains()
    }
}

/// The field by which results are sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SortBy {
    Relevance,
    Name,
    Id,
    CreatedAt,
    UpdatedAt,
    PageViewsTotal,
}

/// An order and its direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) by: SortBy,
    pub(super) descending: bool,
}

/// A parsed request for a page.
#[derive(Debug)]
pub(super) struct Query {
    pub(super) filter: Filter,
    pub(super) offset: u64,
    pub(super) limit: u64,
    /// Results come in id order after this id. Empty means from the beginning.
    pub(super) scroll_id: Option<String>,
    pub(super) order: Order,
}

/// Parameters in the order in which they were given.
type Parameters = [(String, String)];

/// Parses a request for a page of the catalog.
pub(super) fn page(parameters: &Parameters, catalog: &dyn Catalog) -> Result<Query, Refusal> {
    let filter = filter(parameters, catalog)?;
    let offset = number(parameters, "offset", 0)?;
    let limit = number(parameters, "limit", DEFAULT_LIMIT)?.min(WINDOW);
    let scroll_id = first(parameters, "scroll_id").map(str::to_owned);
    let order = first(parameters, "order").map(order).transpose()?;
    if offset + limit > WINDOW {
        return Err(Refusal::bad(format!("Sum of `offset` and `limit` cannot exceed {WINDOW}")));
    }
    if scroll_id.is_some() && order.is_some() {
        return Err(Refusal::bad("The `order` and `scroll_id` parameters cannot both be specified"));
    }
    if scroll_id.is_some() && offset > 0 {
        return Err(Refusal::bad("The `offset` and `scroll_id` parameters cannot both be specified"));
    }
    let order = order.unwrap_or(Order { by: SortBy::Relevance, descending: false });
    Ok(Query { filter, offset, limit, scroll_id, order })
}

/// Parses the selection of assets.
pub(super) fn filter(parameters: &Parameters, catalog: &dyn Catalog) -> Result<Filter, Refusal> {
    let mut filter = Filter::default();
    for (name, value) in parameters {
        match name.as_str() {
            "limit" | "offset" | "scroll_id" | "order" => {}
            "domains" => filter.domains.get_or_insert_default().extend(list(&value.to_lowercase())),
            "ids" => filter.ids.get_or_insert_default().extend(list(value)),
            "only" => extend_kinds(filter.kinds.get_or_insert_default(), value)?,
            name if NOT_DOUBLED.contains(&name) => return Err(not_doubled(name)),
            // Without a value it is not a filter, because the public source ignores empty ones.
            _ => filter.nothing |= !value.is_empty(),
        }
    }
    if filter.domains.as_ref().is_some_and(HashSet::is_empty) {
        filter.domains = None;
    }
    filter.domains.iter().try_for_each(|domains| known(domains, catalog))?;
    filter.hidden = hidden(filter.domains.as_ref(), catalog);
    Ok(filter)
}

/// Naming a locked-down domain is not an error. The public source removes it from the domains to search.
fn hidden(named: Option<&HashSet<String>>, catalog: &dyn Catalog) -> HashSet<String> {
    let answers = |domain: &str, audience: Audience| match audience {
        Audience::WhoNamesIt => named.is_some_and(|named| named.contains(domain)),
        Audience::Nobody => false,
    };
    let restricted = catalog.restricted().into_iter();
    restricted.filter(|(domain, audience)| !answers(domain, *audience)).map(|(domain, _)| domain).collect()
}

fn not_doubled(name: &str) -> Refusal {
    Refusal::new(StatusCode::NOT_IMPLEMENTED, format!("The mock server does not implement `{name}`"))
}

fn extend_kinds(kinds: &mut HashSet<String>, value: &str) -> Result<(), Refusal> {
    for wanted in list(value) {
        let kind = KINDS.into_iter().find(|kind| wanted == *kind || wanted == plural(kind));
        let kind = kind.ok_or_else(|| {
            Refusal::bad(format!(
                "Invalid 'only' parameter: 'only' must be one of {}; got {wanted}",
                KINDS.join(", ")
            ))
        })?;
        kinds.insert(kind.to_owned());
    }
    Ok(())
}

fn plural(kind: &str) -> String {
    match kind {
        "story" => "stories".to_owned(),
        "datalens" => "datalenses".to_owned(),
        kind => format!("{kind}s"),
    }
}

fn known(domains: &HashSet<String>, catalog: &dyn Catalog) -> Result<(), Refusal> {
    let counts = catalog.domains();
    let there: HashSet<&str> = counts.iter().map(|line| line.domain.as_str()).collect();
    match domains.iter().find(|domain| !there.contains(domain.as_str())) {
        Some(domain) => Err(Refusal::new(StatusCode::NOT_FOUND, format!("Domain not found: {domain}"))),
        None => Ok(()),
    }
}

fn order(text: &str) -> Result<Order, Refusal> {
    let (field, direction) = text.split_once(' ').map_or((text, None), |(field, rest)| (field, Some(rest)));
    let (by, descends) = match field {
        "relevance" => (SortBy::Relevance, false),
        "name" => (SortBy::Name, false),
        "dataset_id" => (SortBy::Id, false),
        "createdAt" => (SortBy::CreatedAt, true),
        "updatedAt" => (SortBy::UpdatedAt, true),
        "page_views_total" => (SortBy::PageViewsTotal, true),
        _ => return Err(Refusal::broken()),
    };
    let descending = match direction {
        None => descends,
        Some("ASC") => false,
        Some("DESC") => true,
        Some(_) => return Err(Refusal::broken()),
    };
    Ok(Order { by, descending })
}

fn first<'a>(parameters: &'a Parameters, name: &str) -> Option<&'a str> {
    parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

fn number(parameters: &Parameters, name: &str, default: u64) -> Result<u64, Refusal> {
    let text = first(parameters, name);
    text.map_or(Ok(default), |text| text.parse::<u32>().map(u64::from).map_err(|_| Refusal::broken()))
}

fn list(value: &str) -> impl Iterator<Item = String> {
    value.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned)
}
