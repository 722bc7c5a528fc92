//! What was updated since a time: the API lists its assets by date, the newest first, but no more than
//! ten thousand, and nothing but the order says that one is older than all that follow.

use std::collections::HashSet;

use anyhow::Context;
use catalog_shared::cursor::{Cursor, Interval};
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use crate::api::error::{ApiError, Failed};
use crate::api::page::{Object, Page};
use crate::api::{Ask, Discovery};
use crate::crawl::size::{LEAST, PageSize};
use crate::progress::display::Progress;
use crate::progress::watch;
use crate::publish::Publisher;
use crate::run::lifecycle;

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
    Short(String),
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
    progress: &Progress,
    shutdown: &CancellationToken,
) -> anyhow::Result<Listed> {
    let mut listing = Listing::new(from, publisher.cursor());
    let mut size = PageSize::new(page_size, page_size);
    while listing.offset < WINDOW {
        let ask = listing.ask(&size);
        let page = listing.fetch(discovery, ask);
        let Some(page) = shutdown.run_until_cancelled(page).await else { return Ok(Listed::Interrupted) };
        let mut page = match page {
            Ok(page) => page,
            Err(error) if ask.can_shrink && error.incomplete_head().is_some() => {
                size.failed(ask.size);
                continue;
            }
            Err(error) => return listing.fall_short(ask, error),
        };
        size.succeeded(ask.size);
        let done = listing.take(&mut page, ask);
        watch::listed(listing.share(), page.objects.len());
        publisher.listed(page).await?;
        progress.published(publisher.cursor());
        if done {
            watch::finished();
            return Ok(Listed::Whole);
        }
    }
    Ok(Listed::Short("the API lists no further than 10000 assets".to_owned()))
}

/// How far a listing has come, and what it has shown: the next page is judged by it.
struct Listing {
    from: OffsetDateTime,
    /// How many assets `/domains` declares: so many places are there to be listed.
    declared: u64,
    /// The place of the next page.
    offset: u16,
    /// The names of the assets on the pages before it, [`WINDOW`] at most.
    seen: HashSet<Name>,
    /// The last date of the pages before it.
    oldest: Option<OffsetDateTime>,
}

impl Listing {
    fn new(from: OffsetDateTime, cursor: &Cursor) -> Self {
        Self { from, declared: lifecycle::declared(cursor), offset: 0, seen: HashSet::new(), oldest: None }
    }

    fn ask(&self, size: &PageSize) -> Ask {
        let size = size.now().min(WINDOW - self.offset);
        Ask { size, can_shrink: size > LEAST, loosely: false }
    }

    /// How much of what can be listed lies before the next page.
    fn share(&self) -> f64 {
        let places = self.declared.clamp(1, u64::from(WINDOW));
        (f64::from(self.offset) / places as f64).min(1.0)
    }

    /// The next page; the end is believed when it comes twice.
    async fn fetch(&self, discovery: &Discovery, ask: Ask) -> Result<Page, Failed> {
        let check = |page: &Page| self.check(&page.objects).map_err(ApiError::NoListing);
        let page = discovery.newest(self.offset, ask, check).await?;
        if page.objects.is_empty() { discovery.newest(self.offset, ask, check).await } else { Ok(page) }
    }

    /// Whether these can be the next objects: some are new, dates descend, and there are none only where
    /// no more are declared. What is updated meanwhile moves all others down, so that the last objects of a
    /// page may come once more at the beginning of the next: their dates tell nothing.
    fn check(&self, objects: &[Object]) -> Result<(), String> {
        if objects.is_empty() && u64::from(self.offset) < self.declared {
            return Err(format!("nothing behind {} of {} declared assets", self.offset, self.declared));
        }
        let is_known = |object: &&Object| name(object).is_some_and(|name| self.seen.contains(&name));
        if !objects.is_empty() && objects.iter().all(|object| is_known(&object)) {
            return Err(format!("behind {} assets it sent what it had sent before", self.offset));
        }
        let new = objects.iter().filter(|object| !is_known(object));
        let dates = self.oldest.into_iter().chain(new.filter_map(|object| object.updated_at));
        if dates.is_sorted_by(|one, next| one >= next) {
            return Ok(());
        }
        Err(format!("the dates behind {} assets don't descend", self.offset))
    }

    /// Leaves of a page what was updated at `from` or later, and goes on behind it. Tells whether that is
    /// all. An object without a date is no reason to stop.
    fn take(&mut self, page: &mut Page, ask: Ask) -> bool {
        let is_older = |object: &Object| object.updated_at.is_some_and(|date| date < self.from);
        let updated = page.objects.iter().position(is_older);
        let done = updated.is_some() || page.objects.is_empty();
        page.objects.truncate(updated.unwrap_or(page.objects.len()));
        self.oldest = page.objects.iter().rev().find_map(|object| object.updated_at).or(self.oldest);
        self.seen.extend(page.objects.iter().filter_map(name));
        // By what was asked for and not by what came: the API leaves out what it can't read, but not
        // its place.
        self.offset += ask.size;
        done
    }

    /// What follows from a page that could not be had: the scroll goes past what can't be listed.
    fn fall_short(&self, ask: Ask, error: Failed) -> anyhow::Result<Listed> {
        if error.incomplete_head().is_some() || matches!(error.error, ApiError::NoListing(_)) {
            return Ok(Listed::Short(format!("{:#}", anyhow::Error::from(error))));
        }
        let (limit, offset) = (ask.size, self.offset);
        Err(error).with_context(|| {
            format!("can't get the {limit} assets behind the {offset} that were updated last")
        })
    }
}

/// What tells an asset from others: its id, and its domain where it has one.
type Name = (String, Option<String>);

fn name(object: &Object) -> Option<Name> {
    Some((object.id.clone()?, object.domain.clone()))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::json;

    use super::*;

    /// A page of objects with these dates; each has an id by its place from `first` on.
    fn page(first: usize, dates: &[&str]) -> Page {
        let object = |(id, date)| json!({ "resource": { "id": format!("{id:04}"), "updatedAt": date } });
        let results: Vec<_> = (first..).zip(dates).map(object).collect();
        Page::cut(&Bytes::from(json!({ "results": results }).to_string())).unwrap()
    }

    /// A listing down to 10 s of so many declared assets.
    fn listing(declared: u64) -> Listing {
        let from = OffsetDateTime::from_unix_timestamp(10).unwrap();
        Listing { from, declared, offset: 0, seen: HashSet::new(), oldest: None }
    }

    /// Goes past a page of the size that it has.
    fn take(listing: &mut Listing, mut page: Page) -> (usize, bool) {
        listing.check(&page.objects).unwrap();
        let size = u16::try_from(page.objects.len()).unwrap();
        let done = listing.take(&mut page, Ask { size, can_shrink: false, loosely: false });
        (page.objects.len(), done)
    }

    const AT_9: &str = "1970-01-01T00:00:09.999Z";
    const AT_10: &str = "1970-01-01T00:00:10.000Z";
    const AT_11: &str = "1970-01-01T00:00:11.000Z";
    const AT_12: &str = "1970-01-01T00:00:12.000Z";

    #[test]
    fn the_listing_ends_at_the_first_older_object() {
        let taken = |dates: &[&str]| take(&mut listing(0), page(0, dates));
        assert_eq!(taken(&[AT_11, AT_10, AT_10, AT_9, AT_9]), (3, true));
        assert_eq!(taken(&[AT_11, AT_10]), (2, false));
        assert_eq!(taken(&[AT_9]), (0, true));
        assert_eq!(taken(&[]), (0, true));
    }

    #[test]
    fn an_object_without_a_date_is_taken_along() {
        assert_eq!(take(&mut listing(0), page(0, &[AT_11, "soon", AT_10, AT_9])), (3, true));
    }

    #[test]
    fn an_order_that_is_none_is_not_believed() {
        let refused = |dates| listing(9).check(&page(0, dates).objects).unwrap_err();
        assert!(refused(&[AT_10, AT_11]).contains("don't descend"));
        assert!(refused(&[AT_9, AT_11]).contains("don't descend"));
    }

    #[test]
    fn nothing_is_the_end_only_where_no_more_is_declared() {
        let mut listing = listing(3);
        assert!(listing.check(&[]).is_err());
        take(&mut listing, page(0, &[AT_12, AT_12]));
        assert!(listing.check(&[]).unwrap_err().contains("2 of 3 declared"));
        take(&mut listing, page(2, &[AT_11]));
        assert!(listing.check(&[]).is_ok());
    }

    #[test]
    fn a_page_that_comes_again_is_not_the_next_one() {
        let mut listing = listing(9);
        take(&mut listing, page(0, &[AT_11, AT_11]));
        assert!(listing.check(&page(0, &[AT_11, AT_11]).objects).unwrap_err().contains("sent before"));
        // Another page that is not the next one either.
        assert!(listing.check(&page(4, &[AT_12, AT_12]).objects).unwrap_err().contains("don't descend"));
    }

    #[test]
    fn what_an_update_moves_down_comes_once_more() {
        let mut listing = listing(9);
        take(&mut listing, page(0, &[AT_12, AT_11, AT_10]));
        assert!(listing.check(&page(1, &[AT_11, AT_10, AT_10]).objects).is_ok());
    }
}
