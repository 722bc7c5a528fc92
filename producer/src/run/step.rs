//! What a page changes in the cursor.

use catalog_shared::cursor::{Cursor, Interval};
use catalog_shared::marker::UNREAD_IDS;
use catalog_shared::record::Kind;

use crate::api::page::Page;
use crate::crawl::fetched::Covered;
use crate::run::page_writer::Missed;

/// Counts what no record could be made of.
pub(crate) fn miss(cursor: &mut Cursor, missed: Missed) {
    cursor.unkeyed += missed.unkeyed;
    cursor.bad_domains += missed.bad_domains;
    for (domain, count) in missed.by_domain {
        *cursor.unkeyed_by.entry(domain).or_default() += count;
    }
    keep_unread(cursor, missed.ids);
}

/// Counts a record by the partition that it goes to.
pub(crate) fn count(cursor: &mut Cursor, kind: Kind, partition: i32) {
    let counts = cursor.published.entry(kind).or_default();
    if let Some(count) = usize::try_from(partition).ok().and_then(|index| counts.get_mut(index)) {
        *count += 1;
    }
}

/// How many objects of a page a limit takes that leaves so many: those with one id are taken together, because the
/// next run goes on behind an id.
pub(crate) fn taken(page: &Page, left: usize) -> usize {
    let head = &page.objects[..left.min(page.objects.len())];
    let last = head.iter().rev().find_map(|object| object.id.as_deref());
    last.map_or(head.len(), |id| page.up_to(id).max(head.len()))
}

/// Keeps the ids of objects that could not be read, up to a number.
pub(crate) fn keep_unread(cursor: &mut Cursor, ids: impl IntoIterator<Item = String>) {
    let room = UNREAD_IDS.saturating_sub(cursor.unread_ids.len());
    cursor.unread_ids.extend(ids.into_iter().take(room));
}

/// Takes what a page covers out of what is pending.
pub(crate) fn cover(pending: &mut Vec<Interval>, from: &str, covered: Covered) {
    match covered {
        Covered::UpTo(id) => {
            if let Some(interval) = pending.iter_mut().find(|interval| interval.after == from) {
                interval.after = id;
            }
        }
        Covered::Whole => pending.retain(|interval| interval.after != from),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_moves_its_own_interval_only() {
        let interval = |after: &str| Interval { after: after.into(), until: None };
        let mut pending = vec![interval(""), interval("g222-2222")];
        cover(&mut pending, "", Covered::UpTo("3333-3333".into()));
        assert_eq!(pending, [interval("3333-3333"), interval("g222-2222")]);
        cover(&mut pending, "g222-2222", Covered::Whole);
        assert_eq!(pending, [interval("3333-3333")]);
    }
}
