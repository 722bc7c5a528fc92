//! The catalog of a mock server: any set of assets that can be read in id order.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::{Bound, ControlFlow};

/// One line of `/domains`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DomainCount {
    /// The domain's host name, in lower case.
    pub domain: String,
    /// The declared number of assets. It may differ from the real number.
    pub count: u64,
}

impl DomainCount {
    /// The line as JSON, with its members in the API's order.
    pub(super) fn json(&self) -> String {
        format!(r#"{{"domain":{},"count":{}}}"#, serde_json::Value::from(self.domain.as_str()), self.count)
    }
}

/// One asset, with the fields that the API's rules use. An expensive field is read only when
/// a rule needs it.
pub trait Asset {
    /// The asset's id, such as `ijzp-q8t2`. Results of a scroll come in its byte order.
    fn id(&self) -> &str;
    /// The host name in `metadata.domain`; the filter `domains` compares with it.
    fn domain(&self) -> &str;
    /// `resource.type`; the filter `only` compares with it.
    fn kind(&self) -> &str;
    /// `resource.name`, for `order=name`.
    fn name(&self) -> Cow<'_, str>;
    /// `resource.createdAt` as it is written (times of one format sort as text).
    fn created_at(&self) -> Cow<'_, str>;
    /// `resource.updatedAt` as it is written.
    fn updated_at(&self) -> Cow<'_, str>;
    /// `resource.page_views.page_views_total`, or 0 if the object has none.
    fn page_views_total(&self) -> i64;
    /// Appends the result object as it is in the catalog.
    fn write_to(&self, out: &mut Vec<u8>);
    /// Whether the object is served byte for byte, for example because it is not JSON.
    fn is_opaque(&self) -> bool {
        false
    }
}

/// Which requests get answers about a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Requests that name it. A request without `domains` does not cover it.
    WhoNamesIt,
    /// `None` without a login: it has no results, and `/domains` does not list it.
    Nobody,
}

/// A set of assets in id order, which may change between two requests.
pub trait Catalog: Send + Sync + 'static {
    /// The number of assets.
    fn assets(&self) -> u64;

    /// Visits the assets from `from` on in byte order of their ids, until `visit` breaks. An id that occurs on
    /// several domains comes once for each of them.
    fn scan(&self, from: Bound<&str>, visit: &mut dyn FnMut(&dyn Asset) -> ControlFlow<()>);

    /// The answer to `/domains`: each domain once, in no particular order, including empty ones.
    fn domains(&self) -> Vec<DomainCount>;

    /// The supplementary and locked-down domains.
    fn restricted(&self) -> HashMap<String, Audience> {
        HashMap::new()
    }
}
