//! An asset as the mock server sees it.

use std::borrow::Cow;

use super::sketch::Sketch;
use super::{object, times};
use crate::mock_server::Asset;

impl Asset for Sketch<'_> {
    fn id(&self) -> &str {
        &self.id
    }

    fn domain(&self) -> &str {
        &self.portal.host
    }

    fn kind(&self) -> &str {
        self.kind.name
    }

    fn name(&self) -> Cow<'_, str> {
        Cow::Borrowed(Sketch::name(self))
    }

    fn created_at(&self) -> Cow<'_, str> {
        Cow::Owned(times::text(self.times().created))
    }

    fn updated_at(&self) -> Cow<'_, str> {
        Cow::Owned(times::text(self.times().updated))
    }

    fn page_views_total(&self) -> i64 {
        let views = self.page_views().map_or(0, |views| views.total);
        i64::try_from(views).unwrap_or(i64::MAX)
    }

    fn write_to(&self, out: &mut Vec<u8>) {
        object::write(self, out);
    }
}
