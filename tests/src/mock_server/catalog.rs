//! What a mock server serves: any set of assets that can be walked in id order.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::{Bound, ControlFlow};

/// One line of `/domains`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DomainCount {
    /// The domain's host name, in lower case.
    pub domain: String,
    /// How many assets the API says that it holds. It need not be the truth.
    pub count: u64,
}

impl DomainCount {
    /// The line as JSON, with its members in the API's order.
    pub(super) fn json(&self) -> String {
        format!(r#"{{"domain":{},"count":{}}}"#, serde_json::Value::from(self.domain.as_str()), self.count)
    }
}

/// One asset, as far as the API's rules look at it. What costs anything to know is asked for only when
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
    /// `resource.page_views.page_views_total`; 0 where the object has none.
    fn page_views_total(&self) -> i64;
    /// Appends the result object as the catalog has it.
    fn write_to(&self, out: &mut Vec<u8>);
    /// Whether the object is served byte for byte, because it is no JSON or is there for its bytes.
    fn is_opaque(&self) -> bool {
        false
    }
}

/// Who gets answers about a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Everybody who asks for it by name. A request without `domains` does not cover it.
    WhoNamesIt,
    /// Nobody without a login: it has no results, and `/domains` does not list it.
    Nobody,
}

/// A set of assets in id order, that may change between two requests.
pub trait Catalog: Send + Sync + 'static {
    /// The number of assets.
    fn assets(&self) -> u64;

    /// Shows the assets from `from` on in byte order of their ids, until `visit` breaks. An id that occurs on
    /// several domains comes once for each of them.
    fn scan(&self, from: Bound<&str>, visit: &mut dyn FnMut(&dyn Asset) -> ControlFlow<()>);

    /// What `/domains` answers: each domain once, in no particular order, empty ones among them.
    fn domains(&self) -> Vec<DomainCount>;

    /// The domains that are no customer's: supplementary and locked-down ones.
    fn restricted(&self) -> HashMap<String, Audience> {
        HashMap::new()
    }
}
