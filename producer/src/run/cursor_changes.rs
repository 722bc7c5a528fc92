//! What a page changes in the cursor.

use catalog_shared::cursor::{Cursor, Interval};
use catalog_shared::missed::Missed;
use catalog_shared::missed::UNREAD_IDS;
use catalog_shared::record::RecordType;

use crate::model::page::Page;
use crate::run::lane_page::Covered;

/// Adds the counts of objects and entries of a page that did not become records.
pub(crate) fn add_missed(cursor: &mut Cursor, missed: Missed) {
    cursor.missed.unkeyed += missed.unkeyed;
    cursor.missed.bad_domains += missed.bad_domains;
    for (domain, count) in missed.unkeyed_by {
        *cursor.missed.unkeyed_by.entry(domain).or_default() += count;
    }
    add_unread_ids(cursor, missed.unread_ids);
}

/// Adds the ids of objects that could not be read, up to [`UNREAD_IDS`] in all.
pub(crate) fn add_unread_ids(cursor: &mut Cursor, ids: impl IntoIterator<Item = String>) {
    let room = UNREAD_IDS.saturating_sub(cursor.missed.unread_ids.len());
    cursor.missed.unread_ids.extend(ids.into_iter().take(room));
}

/// Counts a record for the partition that it is sent to.
pub(crate) fn count(cursor: &mut Cursor, kind: RecordType, partition: i32) {
    let counts = cursor.published.entry(kind).or_default();
    if let Some(count) = usize::try_from(partition).ok().and_then(|index| counts.get_mut(index)) {
        *count += 1;
    }
}

/// How many objects of a page a limit of `remaining` takes. Objects with the same id are taken together, because the
/// next run continues after an id.
pub(crate) fn len_within_limit(page: &Page, remaining: usize) -> usize {
    let head = &page.objects[..remaining.min(page.objects.len())];
    let last = head.iter().rev().find_map(|object| object.id.as_deref());
    last.map_or(head.len(), |id| page.len_through(id).max(head.len()))
}

/// Removes what a page covers from the pending intervals. The lower bound identifies an interval, because none of them is empty: one
/// that is covered up to its upper bound is removed.
pub(crate) fn cover(pending: &mut Vec<Interval>, from: &str, covered: Covered) {
    match covered {
        Covered::UpTo(id) => {
            if let Some(interval) = pending.iter_mut().find(|interval| interval.after == from) {
                interval.after = id;
            }
        }
        Covered::Full => pending.retain(|interval| interval.after != from),
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
        cover(&mut pending, "g222-2222", Covered::Full);
        assert_eq!(pending, [interval("3333-3333")]);
    }
}
