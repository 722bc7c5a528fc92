//! What was updated since a time: the API lists its assets by date, the newest first, but no more than
//! ten thousand, and nothing but the order says that one is older than all that follow.

use anyhow::Context;
use catalog_shared::cursor::{Cursor, Interval};
use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio_util::sync::CancellationToken;

use crate::discover::Discovery;
use crate::discover::error::ApiError;
use crate::discover::page::{Object, Page};
use crate::publish::Publisher;

/// How far the API lists: `offset` and `limit` together go no further.
const WINDOW: u16 = 10_000;

/// How a listing ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Listed {
    /// With an asset that is older, or with the last of all.
    Whole,
    /// Before its end, for the program is to stop.
    Interrupted,
    /// It can't show all that was updated, and this is why: only the scroll can.
    Short(&'static str),
}

/// The time that a run still lists assets down to; none once it scrolls, and for other runs. A listing
/// that was interrupted begins anew, for what was updated meanwhile has moved all places. It leaves no
/// trace in the cursor, so that is where one stands before anything was scrolled.
pub(crate) fn listing(cursor: &Cursor) -> Option<OffsetDateTime> {
    let since = cursor.shape.since.as_ref()?;
    (cursor.pending == [Interval::whole()]).then_some(since.from)
}

/// Publishes what was updated at `from` or later, in the order in which the API lists it.
pub(crate) async fn publish(
    discovery: &Discovery,
    page_size: u16,
    from: OffsetDateTime,
    publisher: &mut Publisher,
    shutdown: &CancellationToken,
) -> anyhow::Result<Listed> {
    let is_empty = publisher.cursor().declared.values().all(|count| *count == 0);
    let mut offset = 0;
    while offset < WINDOW {
        let limit = page_size.min(WINDOW - offset);
        let page = fetch(discovery, offset, limit, is_empty);
        let Some(page) = shutdown.run_until_cancelled(page).await else { return Ok(Listed::Interrupted) };
        let mut page = page?;
        let Some(updated) = count_updated(&page.objects, from) else {
            return Ok(Listed::Short("the API doesn't list in the order of dates"));
        };
        let done = updated < page.objects.len() || page.objects.is_empty();
        page.objects.truncate(updated);
        publisher.listed(page).await?;
        if done {
            return Ok(Listed::Whole);
        }
        // By what was asked for and not by what came: the API leaves out what it can't read, but not
        // its place.
        offset += limit;
    }
    Ok(Listed::Short("the API lists no further than 10000 assets"))
}

/// A page of the listing; the end is believed when it comes twice.
async fn fetch(discovery: &Discovery, offset: u16, limit: u16, is_empty: bool) -> anyhow::Result<Page> {
    let check = |page: &Page| {
        if page.objects.is_empty() && offset == 0 && !is_empty {
            return Err(ApiError::Contradiction("nothing is listed of domains with assets".to_owned()));
        }
        Ok(())
    };
    let ask = || async {
        let page = discovery.newest(offset, limit, check).await;
        page.with_context(|| {
            format!("can't get the {limit} assets behind the {offset} that were updated last")
        })
    };
    let page = ask().await?;
    if page.objects.is_empty() { ask().await } else { Ok(page) }
}

/// How many of the first objects were updated at `from` or later; none if they don't come in the order
/// of their dates. An object without a date is no reason to stop.
fn count_updated(objects: &[Object], from: OffsetDateTime) -> Option<usize> {
    let dates: Vec<_> = objects.iter().map(updated_at).collect();
    let is_older = |date: &Option<OffsetDateTime>| date.is_some_and(|date| date < from);
    let in_order = dates.iter().flatten().is_sorted_by(|one, next| one >= next);
    in_order.then(|| dates.iter().position(is_older).unwrap_or(dates.len()))
}

fn updated_at(object: &Object) -> Option<OffsetDateTime> {
    #[derive(Deserialize)]
    struct Dated<'a> {
        #[serde(borrow)]
        resource: Resource<'a>,
    }
    #[derive(Deserialize)]
    struct Resource<'a> {
        #[serde(rename = "updatedAt")]
        updated_at: &'a str,
    }
    let dated: Dated<'_> = serde_json::from_slice(&object.raw).ok()?;
    OffsetDateTime::parse(dated.resource.updated_at, &Rfc3339).ok()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::json;

    use super::*;

    fn page(dates: &[&str]) -> Vec<Object> {
        let object = |date: &&str| json!({ "resource": { "id": "aaaa-aaaa", "updatedAt": date } });
        let results: Vec<_> = dates.iter().map(object).collect();
        Page::cut(&Bytes::from(json!({ "results": results }).to_string())).unwrap().objects
    }

    fn count(dates: &[&str]) -> Option<usize> {
        count_updated(&page(dates), OffsetDateTime::from_unix_timestamp(10).unwrap())
    }

    const AT_9: &str = "1970-01-01T00:00:09.999Z";
    const AT_10: &str = "1970-01-01T00:00:10.000Z";
    const AT_11: &str = "1970-01-01T00:00:11.000Z";

    #[test]
    fn the_listing_ends_at_the_first_older_object() {
        assert_eq!(count(&[AT_11, AT_10, AT_10, AT_9, AT_9]), Some(3));
        assert_eq!(count(&[AT_11, AT_10]), Some(2));
        assert_eq!(count(&[AT_9]), Some(0));
        assert_eq!(count(&[]), Some(0));
    }

    #[test]
    fn an_order_that_is_none_is_not_believed() {
        assert_eq!(count(&[AT_10, AT_11]), None);
        assert_eq!(count(&[AT_9, AT_11]), None);
    }

    #[test]
    fn an_object_without_a_date_is_taken_along() {
        assert_eq!(count(&[AT_11, "soon", AT_10, AT_9]), Some(3));
    }
}
