//! The strings of an object.

use std::borrow::Cow;

use bytes::Bytes;
use catalog_shared::key::is_name;
use reqwest::Url;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::model::idspace;
use crate::model::page::Object;

/// The strings of an object that are needed to build its records.
#[derive(Debug, Default)]
pub(crate) struct Texts<'a> {
    pub(crate) id: Option<Cow<'a, str>>,
    pub(crate) domain: Option<Cow<'a, str>>,
    pub(crate) attribution: Option<Cow<'a, str>>,
    pub(crate) permalink: Option<Cow<'a, str>>,
    pub(crate) updated_at: Option<Cow<'a, str>>,
}

impl Texts<'_> {
    /// The object with these strings and bytes.
    pub(crate) fn object(&self, raw: Bytes) -> Object {
        let agency = self.attribution.as_deref().map(str::trim);
        let id = self.id.as_deref().filter(|id| is_name(id)).map(str::to_owned);
        let link = self.permalink.as_deref().filter(|_| id.is_none());
        let date = |text| OffsetDateTime::parse(text, &Rfc3339).ok();
        Object {
            raw,
            id,
            domain: self.domain.as_deref().map(str::to_owned),
            agency: agency.filter(|name| !name.is_empty()).map(str::to_owned),
            host: self.permalink.as_deref().and_then(host_of),
            updated_at: self.updated_at.as_deref().and_then(date),
            link_id: link.and_then(id_of),
            flaw: None,
        }
    }
}

/// The id that a permalink such as `https://host/d/ijzp-q8t2` ends with.
fn id_of(link: &str) -> Option<String> {
    let url = Url::parse(link).ok()?;
    let id = url.path_segments()?.next_back()?;
    idspace::is_well_formed(id).then(|| id.to_owned())
}

fn host_of(link: &str) -> Option<String> {
    let host = Url::parse(link).ok()?.host_str()?.to_owned();
    is_name(&host).then_some(host)
}
