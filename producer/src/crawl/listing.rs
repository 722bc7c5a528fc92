//! The listing by date of an incremental run: the API lists assets by date of update, newest first, up to 10,000.

use std::collections::HashSet;

use anyhow::Context;
use catalog_shared::cursor::Cursor;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use crate::api::error::{ApiError, Failed};
use crate::api::{Discovery, PageRequest};
use crate::crawl::page_size::{MIN_SIZE, PageSize};
use crate::crawl::totals::total;
use crate::model::page::{Object, Page};
use crate::progress::display::Display;
use crate::publish::Publisher;
use crate::run::lifecycle;

/// The end of the API's listing: `offset` and `limit` together may not exceed it.
const WINDOW: u16 = 10_000;

/// How a listing ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Listed {
    /// At an older asset, or at the last one of all.
    Complete,
    /// By a shutdown before its end.
    Interrupted,
    /// The listing can't include all updates, for this reason. Only the scroll can.
    Incomplete(String),
}

/// Publishes what was updated at `from` or later, in the order of the API's listing.
pub(crate) async fn publish(
    discovery: &Discovery,
    page_size: u16,
    from: OffsetDateTime,
    publisher: &mut Publisher,
    display: &Display,
    shutdown: &CancellationToken,
) -> anyhow::Result<Listed> {
    let mut listing = Listing::new(from, publisher.cursor());
    let mut size = PageSize::new(page_size, page_size);
    while listing.offset < WINDOW {
        let request = listing.request(&size);
        let page = listing.fetch(discovery, request);
        let Some(page) = shutdown.run_until_cancelled(page).await else { return Ok(Listed::Interrupted) };
        let mut page = match page {
            Ok(page) => page,
            Err(error) if request.can_shrink && error.incomplete_head().is_some() => {
                size.failed(request.size);
                continue;
            }
            Err(error) => return listing.give_up(request, error),
        };
        size.succeeded(request.size);
        let is_complete = listing.take(&mut page, request);
        publisher.listed_page(&page).await?;
        display.update(total(publisher.cursor()));
        if is_complete {
            return Ok(Listed::Complete);
        }
    }
    Ok(Listed::Incomplete("the API lists at most 10000 assets".to_owned()))
}

/// The state of a listing, against which the next page is checked.
struct Listing {
    from: OffsetDateTime,
    /// The number of assets that `/domains` declares, and so of positions in the listing.
    declared: u64,
    /// The position of the next page.
    offset: u16,
    /// The assets on the pages before it, at most [`WINDOW`].
    seen: HashSet<AssetKey>,
    /// The last date of the pages before it.
    oldest: Option<OffsetDateTime>,
}

impl Listing {
    fn new(from: OffsetDateTime, cursor: &Cursor) -> Self {
        Self { from, declared: lifecycle::declared(cursor), offset: 0, seen: HashSet::new(), oldest: None }
    }

    fn request(&self, size: &PageSize) -> PageRequest {
        let size = size.now().min(WINDOW - self.offset);
        PageRequest { size, can_shrink: size > MIN_SIZE, leniently: false }
    }

    /// The next page. An empty page must be received twice.
    async fn fetch(&self, discovery: &Discovery, request: PageRequest) -> Result<Page, Failed> {
        let check = |page: &Page| self.check(&page.objects).map_err(ApiError::NoListing);
        let page = discovery.newest(self.offset, request, check).await?;
        if page.objects.is_empty() { discovery.newest(self.offset, request, check).await } else { Ok(page) }
    }

    /// Checks that these can be the next objects: some are new, dates descend, and an empty page comes only after all
    /// declared assets. Updates in the meantime move all other assets down, so the last objects of a page may be
    /// repeated on the next one: their dates are not checked.
    fn check(&self, objects: &[Object]) -> Result<(), String> {
        if objects.is_empty() && u64::from(self.offset) < self.declared {
            return Err(format!("no assets after {} of {} declared ones", self.offset, self.declared));
        }
        let is_known = |object: &&Object| asset_key(object).is_some_and(|key| self.seen.contains(&key));
        if !objects.is_empty() && objects.iter().all(|object| is_known(&object)) {
            return Err(format!("the page after {} assets repeats earlier ones", self.offset));
        }
        let new = objects.iter().filter(|object| !is_known(object));
        let dates = self.oldest.into_iter().chain(new.filter_map(|object| object.updated_at));
        if dates.is_sorted_by(|one, next| one >= next) {
            return Ok(());
        }
        Err(format!("the dates after {} assets don't descend", self.offset))
    }

    /// Keeps what was updated at `from` or later, and moves on to the next page. Returns whether the listing is
    /// complete. An object without a date does not end it.
    fn take(&mut self, page: &mut Page, request: PageRequest) -> bool {
        let is_older = |object: &Object| object.updated_at.is_some_and(|date| date < self.from);
        let updated = page.objects.iter().position(is_older);
        let is_complete = updated.is_some() || page.objects.is_empty();
        page.objects.truncate(updated.unwrap_or(page.objects.len()));
        self.oldest = page.objects.iter().rev().find_map(|object| object.updated_at).or(self.oldest);
        self.seen.extend(page.objects.iter().filter_map(asset_key));
        // By the requested size, because the API omits documents that it can't read, but not their positions.
        self.offset += request.size;
        is_complete
    }

    /// The result after a page that could not be read. The scroll can skip what the listing can't.
    fn give_up(&self, request: PageRequest, error: Failed) -> anyhow::Result<Listed> {
        if error.incomplete_head().is_some() || matches!(error.error, ApiError::NoListing(_)) {
            return Ok(Listed::Incomplete(format!("{:#}", anyhow::Error::from(error))));
        }
        let (limit, offset) = (request.size, self.offset);
        Err(error).with_context(|| format!("can't list the {limit} latest updates after the first {offset}"))
    }
}

/// What identifies an asset: its id, and its domain if it has one.
type AssetKey = (String, Option<String>);

fn asset_key(object: &Object) -> Option<AssetKey> {
    Some((object.id.clone()?, object.domain.clone()))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::json;

    use super::*;
    use crate::api::parse;

    /// A page of objects with these dates, with consecutive ids from `first` on.
    fn page(first: usize, dates: &[&str]) -> Page {
        let object = |(id, date)| json!({ "resource": { "id": format!("{id:04}"), "updatedAt": date } });
        let results: Vec<_> = (first..).zip(dates).map(object).collect();
        parse::page(&Bytes::from(json!({ "results": results }).to_string())).unwrap()
    }

    /// A listing down to 10 s of this many declared assets.
    fn listing(declared: u64) -> Listing {
        let from = OffsetDateTime::from_unix_timestamp(10).unwrap();
        Listing { from, declared, offset: 0, seen: HashSet::new(), oldest: None }
    }

    /// Takes a page that was requested with its own size.
    fn take(listing: &mut Listing, mut page: Page) -> (usize, bool) {
        listing.check(&page.objects).unwrap();
        let size = u16::try_from(page.objects.len()).unwrap();
        let is_complete = listing.take(&mut page, PageRequest { size, can_shrink: false, leniently: false });
        (page.objects.len(), is_complete)
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
    fn an_object_without_a_date_is_kept() {
        assert_eq!(take(&mut listing(0), page(0, &[AT_11, "soon", AT_10, AT_9])), (3, true));
    }

    #[test]
    fn dates_out_of_order_are_refused() {
        let refused = |dates| listing(9).check(&page(0, dates).objects).unwrap_err();
        assert!(refused(&[AT_10, AT_11]).contains("don't descend"));
        assert!(refused(&[AT_9, AT_11]).contains("don't descend"));
    }

    #[test]
    fn an_empty_page_is_the_end_only_after_all_declared_assets() {
        let mut listing = listing(3);
        assert!(listing.check(&[]).is_err());
        take(&mut listing, page(0, &[AT_12, AT_12]));
        assert!(listing.check(&[]).unwrap_err().contains("2 of 3 declared"));
        take(&mut listing, page(2, &[AT_11]));
        assert!(listing.check(&[]).is_ok());
    }

    #[test]
    fn a_repeated_page_is_refused() {
        let mut listing = listing(9);
        take(&mut listing, page(0, &[AT_11, AT_11]));
        assert!(
            listing.check(&page(0, &[AT_11, AT_11]).objects).unwrap_err().contains("repeats earlier ones")
        );
        // Another page that can't be the next one.
        assert!(listing.check(&page(4, &[AT_12, AT_12]).objects).unwrap_err().contains("don't descend"));
    }

    #[test]
    fn assets_that_an_update_moved_down_may_be_repeated() {
        let mut listing = listing(9);
        take(&mut listing, page(0, &[AT_12, AT_11, AT_10]));
        assert!(listing.check(&page(1, &[AT_11, AT_10, AT_10]).objects).is_ok());
    }
}
