//! A result object as its original bytes, with the fields that the API's rules need.

use std::borrow::Cow;

use bytes::Bytes;
use serde::Deserialize;

use super::catalog::Asset;

/// A result object and the few fields that filters and orders use.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) id: String,
    domain: String,
    kind: String,
    name: String,
    created_at: String,
    updated_at: String,
    page_views_total: i64,
    object: Bytes,
    opaque: bool,
}

impl Stored {
    /// Reads the fields of an object. A field that is missing or of another type counts as empty, because the API
    /// serves such objects. Only a value that is not a JSON object is refused.
    pub(super) fn read(object: Bytes) -> serde_json::Result<Self> {
        let facts: Facts<'_> = serde_json::from_slice(&object)?;
        let resource = facts.resource.unwrap_or_default();
        let views = resource.page_views.unwrap_or_default();
        Ok(Self {
            id: resource.id.into_owned(),
            domain: facts.metadata.unwrap_or_default().domain.to_lowercase(),
            kind: resource.kind.into_owned(),
            name: resource.name.into_owned(),
            created_at: resource.created_at.into_owned(),
            updated_at: resource.updated_at.into_owned(),
            page_views_total: views.page_views_total,
            object,
            opaque: false,
        })
    }

    /// Any bytes, served under `id`: an object without an id, or invalid JSON.
    pub(super) fn opaque(id: &str, domain: &str, object: Bytes) -> Self {
        Self {
            id: id.to_owned(),
            domain: domain.to_lowercase(),
            kind: String::new(),
            name: String::new(),
            created_at: String::new(),
            updated_at: String::new(),
            page_views_total: 0,
            object,
            opaque: true,
        }
    }

    /// The object's bytes.
    pub(super) fn object(&self) -> Bytes {
        self.object.clone()
    }
}

impl Asset for Stored {
    fn id(&self) -> &str {
        &self.id
    }

    fn domain(&self) -> &str {
        &self.domain
    }

    fn kind(&self) -> &str {
        &self.kind
    }

    fn name(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.name)
    }

    fn created_at(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.created_at)
    }

    fn updated_at(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.updated_at)
    }

    fn page_views_total(&self) -> i64 {
        self.page_views_total
    }

    fn write_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.object);
    }

    fn is_opaque(&self) -> bool {
        self.opaque
    }
}

#[derive(Deserialize)]
struct Facts<'a> {
    #[serde(borrow)]
    resource: Option<Resource<'a>>,
    #[serde(borrow)]
    metadata: Option<Metadata<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Resource<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow, rename = "createdAt")]
    created_at: Cow<'a, str>,
    #[serde(borrow, rename = "updatedAt")]
    updated_at: Cow<'a, str>,
    page_views: Option<PageViews>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Metadata<'a> {
    #[serde(borrow)]
    domain: Cow<'a, str>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PageViews {
    page_views_total: i64,
}
