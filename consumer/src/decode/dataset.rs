//! Decodes an object of the API to a row of `socrata_datasets` and its stats.
//!
//! Every JSON object with the right key can be decoded: a value that has the wrong type or can't be read becomes null and
//! is listed in `unreadable`. The topic keeps the original.

use std::borrow::Cow;

use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use thiserror::Error;
use time::OffsetDateTime;

use crate::decode::asset;
use crate::decode::content_hash::{ContentHash, additional};
use crate::decode::literal::TextArray;
use crate::decode::sanitize::sanitize_json;
use crate::decode::stats::Stats;
use crate::decode::tree::Node;
use crate::decode::values::FieldReader;
use catalog_shared::fields::Fields;

/// A decoded object. Except for the stats, it does not depend on the order of members, columns and tags.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct DatasetRow {
    pub(crate) typed: Typed,
    /// The object as canonical JSON text, without its stats.
    pub(crate) record: String,
    /// The fields that can't be read completely: a sorted set.
    pub(crate) unreadable: TextArray,
    /// Two rows have the same hash if and only if they are equal, except for the stats.
    pub(crate) content_hash: ContentHash,
    pub(crate) stats: Stats,
}

/// The columns that are read from the canonical object. `columns` and `domain_metadata` are JSON text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Typed {
    pub(crate) name: Option<String>,
    pub(crate) kind: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) attribution: Option<String>,
    pub(crate) attribution_link: Option<String>,
    pub(crate) category: Option<String>,
    pub(crate) categories: Option<TextArray>,
    pub(crate) tags: Option<TextArray>,
    pub(crate) domain_tags: Option<TextArray>,
    pub(crate) domain_metadata: Option<String>,
    pub(crate) license: Option<String>,
    pub(crate) provenance: Option<String>,
    pub(crate) permalink: Option<String>,
    pub(crate) link: Option<String>,
    pub(crate) parent_ids: Option<TextArray>,
    pub(crate) columns: Option<String>,
    pub(crate) created_at: Option<OffsetDateTime>,
    pub(crate) updated_at: Option<OffsetDateTime>,
    pub(crate) metadata_updated_at: Option<OffsetDateTime>,
    pub(crate) data_updated_at: Option<OffsetDateTime>,
    pub(crate) publication_date: Option<OffsetDateTime>,
}

/// Why a value can't be decoded.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum DatasetError {
    #[error("the value is not a JSON object: {0}")]
    NoObject(String),
    #[error("{field} is {found:?}, but the key has {key:?}")]
    KeyDisagrees { field: &'static str, found: Option<String>, key: String },
}

impl DatasetRow {
    /// Decodes the object with this key.
    ///
    /// # Errors
    /// If the value is not a JSON object, or its domain or id differs from the key.
    pub(crate) fn read(value: &str, domain: &str, id: &str) -> Result<Self, DatasetError> {
        let text = sanitize_json(value, 0);
        if let Cow::Owned(_) = text {
            // Sanitizing drops text that is then never parsed.
            serde_json::from_str::<IgnoredAny>(value).map_err(|error| no_object(&error.to_string()))?;
        }
        let top: Fields<'_> = serde_json::from_str(&text).map_err(|error| no_object(&error.to_string()))?;
        let mut reader = FieldReader::default();
        let object = Object::open(&top, &mut reader);
        agrees("resource.id", object.resource.get("id"), id)?;
        agrees("metadata.domain", object.metadata.get("domain"), domain)?;
        if matches!(text, Cow::Owned(_)) {
            reader.list_sanitized(value);
        }
        let (stats, record) = (stats(&object, &mut reader), record(&text)?);
        let (typed, from_record) = read_typed(&record)?;
        let additional = additional(reader.unreadable, &from_record);
        let content_hash =
            ContentHash::of_row(&record, &additional).map_err(|error| no_object(&error.to_string()))?;
        let unreadable = sorted([from_record, additional].concat());
        Ok(Self { typed, record, unreadable, content_hash, stats })
    }

    /// Decodes an object for which one pass was enough (see `scan`), with the result of that pass. The row is that of
    /// [`DatasetRow::read`], which would sanitize, check and hash the object again.
    ///
    /// # Errors
    /// If the value is not a JSON object.
    pub(super) fn with_scanned(
        value: &str,
        stats: Stats,
        content_hash: ContentHash,
    ) -> Result<Self, DatasetError> {
        let record = record(value)?;
        let (typed, unreadable) = read_typed(&record)?;
        Ok(Self { typed, record, unreadable: sorted(unreadable), content_hash, stats })
    }
}

/// The canonical record of an object that is known to be JSON.
fn record(object: &str) -> Result<String, DatasetError> {
    Node::of_json(object)
        .and_then(|object| asset::record(&object))
        .ok_or_else(|| no_object("it has no fields"))
}

/// Reads the columns from the canonical record, so that they are canonical too. Also returns the names of the fields that
/// can't be read.
pub(super) fn read_typed(record: &str) -> Result<(Typed, Vec<String>), DatasetError> {
    let top: Fields<'_> = serde_json::from_str(record).map_err(|error| no_object(&error.to_string()))?;
    let mut read = FieldReader::default();
    let object = Object::open(&top, &mut read);
    Ok((typed(&object, &mut read), read.unreadable))
}

/// A sorted set of names.
fn sorted(mut names: Vec<String>) -> TextArray {
    names.sort_unstable();
    names.dedup();
    names.into_iter().map(Some).collect()
}

fn no_object(reason: &str) -> DatasetError {
    DatasetError::NoObject(reason.to_owned())
}

fn agrees(field: &'static str, value: Option<&RawValue>, key: &str) -> Result<(), DatasetError> {
    let found: Option<String> = value.and_then(|value| serde_json::from_str(value.get()).ok());
    if found.as_deref() == Some(key) {
        return Ok(());
    }
    Err(DatasetError::KeyDisagrees { field, found, key: key.to_owned() })
}

/// An object and those of its inner objects that a row needs.
struct Object<'a> {
    top: &'a Fields<'a>,
    resource: Fields<'a>,
    classification: Fields<'a>,
    metadata: Fields<'a>,
}

impl<'a> Object<'a> {
    fn open(top: &'a Fields<'a>, read: &mut FieldReader) -> Self {
        let mut open = |name| read.fields(name, top.get(name));
        Self {
            top,
            resource: open("resource"),
            classification: open("classification"),
            metadata: open("metadata"),
        }
    }
}

fn stats(object: &Object<'_>, read: &mut FieldReader) -> Stats {
    let views = read.fields("resource.page_views", object.resource.get("page_views"));
    let mut number = |path: &'static str, value| read.integer(path, value);
    Stats {
        page_views_total: number("resource.page_views.page_views_total", views.get("page_views_total")),
        page_views_last_month: number(
            "resource.page_views.page_views_last_month",
            views.get("page_views_last_month"),
        ),
        page_views_last_week: number(
            "resource.page_views.page_views_last_week",
            views.get("page_views_last_week"),
        ),
        download_count: number("resource.download_count", object.resource.get("download_count")),
    }
}

fn typed(object: &Object<'_>, read: &mut FieldReader) -> Typed {
    let Object { top, resource, classification, metadata } = object;
    Typed {
        name: read.text("resource.name", resource.get("name")),
        kind: read.indexed_text("resource.type", resource.get("type")),
        description: read.text("resource.description", resource.get("description")),
        attribution: read.indexed_text("resource.attribution", resource.get("attribution")),
        attribution_link: read.text("resource.attribution_link", resource.get("attribution_link")),
        category: read.text("classification.domain_category", classification.get("domain_category")),
        categories: read.list("classification.categories", classification.get("categories")),
        tags: read.list("classification.tags", classification.get("tags")),
        domain_tags: read.list("classification.domain_tags", classification.get("domain_tags")),
        domain_metadata: read
            .json_list("classification.domain_metadata", classification.get("domain_metadata")),
        license: read.text("metadata.license", metadata.get("license")),
        provenance: read.text("resource.provenance", resource.get("provenance")),
        permalink: read.text("permalink", top.get("permalink")),
        link: read.text("link", top.get("link")),
        parent_ids: read.list("resource.parent_fxf", resource.get("parent_fxf")),
        columns: read.columns(resource),
        created_at: read.time("resource.createdAt", resource.get("createdAt")),
        updated_at: read.time("resource.updatedAt", resource.get("updatedAt")),
        metadata_updated_at: read.time("resource.metadata_updated_at", resource.get("metadata_updated_at")),
        data_updated_at: read.time("resource.data_updated_at", resource.get("data_updated_at")),
        publication_date: read.time("resource.publication_date", resource.get("publication_date")),
    }
}

#[cfg(test)]
mod tests;
