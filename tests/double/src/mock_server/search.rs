//! Finds the results of a query in any catalog.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::{Bound, ControlFlow};

use super::catalog::{Asset, Catalog, DomainCount};
use super::form::Form;
use super::query::{Filter, Query, SortBy, WINDOW};

/// Appends one page of objects in their form, separated, and returns `resultSetSize`: how
/// many there are in all, or 10,000 if there are more. The ids in `unreadable` take their place in the page
/// and are omitted, but counted, as the API does with documents that it can't parse.
pub(super) fn search(
    catalog: &dyn Catalog,
    query: &Query,
    unreadable: &HashSet<String>,
    form: Form,
    out: &mut Vec<u8>,
) -> u64 {
    if query.filter.nothing {
        return 0;
    }
    let mut page = Page { out, is_empty: true, unreadable, form };
    match &query.scroll_id {
        Some(beyond) => scroll(catalog, query, beyond, &mut page),
        None => sorted(catalog, query, &mut page),
    }
    size(catalog, &query.filter)
}

/// Counts assets by domain.
pub(super) fn count(catalog: &dyn Catalog, filter: &Filter) -> Vec<DomainCount> {
    let mut lines = if filter.is_of_domains() {
        let mut lines = catalog.domains();
        lines.retain(|line| filter.covers(&line.domain));
        lines
    } else {
        count_filtered(catalog, filter)
    };
    // In no meaningful order, as in the API.
    lines.sort_by_key(|line| scatter(&line.domain));
    lines
}

fn count_filtered(catalog: &dyn Catalog, filter: &Filter) -> Vec<DomainCount> {
    let mut counts: BTreeMap<String, u64> = filter
        .domains
        .iter()
        .flatten()
        .filter(|domain| filter.covers(domain))
        .map(|domain| (domain.clone(), 0))
        .collect();
    each(catalog, filter, Bound::Unbounded, &mut |asset| {
        *counts.entry(asset.domain().to_owned()).or_default() += 1;
        ControlFlow::Continue(())
    });
    counts.into_iter().map(|(domain, count)| DomainCount { domain, count }).collect()
}

struct Page<'a> {
    out: &'a mut Vec<u8>,
    is_empty: bool,
    unreadable: &'a HashSet<String>,
    form: Form,
}

impl Page<'_> {
    fn push(&mut self, asset: &dyn Asset) {
        if self.unreadable.contains(asset.id()) {
            return;
        }
        if !self.is_empty {
            self.out.extend_from_slice(self.form.separator());
        }
        self.is_empty = false;
        self.form.asset(asset, self.out);
    }
}

fn scroll(catalog: &dyn Catalog, query: &Query, beyond: &str, page: &mut Page<'_>) {
    let mut left = query.limit;
    let from = if beyond.is_empty() { Bound::Unbounded } else { Bound::Excluded(beyond) };
    each(catalog, &query.filter, from, &mut |asset| {
        if left == 0 {
            return ControlFlow::Break(());
        }
        left -= 1;
        page.push(asset);
        ControlFlow::Continue(())
    });
}

/// Sorts only the window, so a million assets need only the memory of ten thousand keys.
fn sorted(catalog: &dyn Catalog, query: &Query, page: &mut Page<'_>) {
    let wanted = usize::try_from(query.offset + query.limit).unwrap_or(usize::MAX);
    let mut best = BinaryHeap::new();
    each(catalog, &query.filter, Bound::Unbounded, &mut |asset| {
        best.push((
            rank(asset, query),
            scatter(asset.id()),
            asset.id().to_owned(),
            asset.domain().to_owned(),
        ));
        if best.len() > wanted {
            best.pop();
        }
        ControlFlow::Continue(())
    });
    let skipped = usize::try_from(query.offset).unwrap_or(usize::MAX);
    for (_, _, id, domain) in best.into_sorted_vec().iter().skip(skipped) {
        visit_all_of(catalog, id, &mut |asset| {
            if asset.domain() == domain {
                page.push(asset);
            }
            ControlFlow::Continue(())
        });
    }
}

/// A value to sort by, least first. All values of one query have the same variant.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Up(Key),
    Down(Reverse<Key>),
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    /// Equal for all, because relevance without search terms defines no order. The scatter of ids decides.
    None,
    Number(i64),
    Text(String),
}

fn rank(asset: &dyn Asset, query: &Query) -> Rank {
    let key = match query.order.by {
        SortBy::Relevance => Key::None,
        SortBy::Name => Key::Text(asset.name().into_owned()),
        SortBy::Id => Key::Text(asset.id().to_owned()),
        SortBy::CreatedAt => Key::Text(asset.created_at().into_owned()),
        SortBy::UpdatedAt => Key::Text(asset.updated_at().into_owned()),
        SortBy::PageViewsTotal => Key::Number(asset.page_views_total()),
    };
    if query.order.descending { Rank::Down(Reverse(key)) } else { Rank::Up(key) }
}

/// A reproducible order that is unrelated to that of the texts.
fn scatter(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

fn size(catalog: &dyn Catalog, filter: &Filter) -> u64 {
    if filter.is_empty() {
        return catalog.assets().min(WINDOW);
    }
    let mut size = 0;
    each(catalog, filter, Bound::Unbounded, &mut |_| {
        size += 1;
        if size == WINDOW { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    size
}

/// Visits the assets that pass the filter, in id order.
fn each(
    catalog: &dyn Catalog,
    filter: &Filter,
    from: Bound<&str>,
    visit: &mut dyn FnMut(&dyn Asset) -> ControlFlow<()>,
) {
    let mut visit_fitting =
        |asset: &dyn Asset| if fits(asset, filter) { visit(asset) } else { ControlFlow::Continue(()) };
    let Some(ids) = &filter.ids else {
        return catalog.scan(from, &mut visit_fitting);
    };
    for id in ids.range::<str, _>((from, Bound::Unbounded)) {
        let mut flow = ControlFlow::Continue(());
        visit_all_of(catalog, id, &mut |asset| {
            flow = visit_fitting(asset);
            flow
        });
        if flow.is_break() {
            return;
        }
    }
}

fn fits(asset: &dyn Asset, filter: &Filter) -> bool {
    filter.covers(asset.domain()) && filter.kinds.as_ref().is_none_or(|kinds| kinds.contains(asset.kind()))
}

/// Visits the assets with this id. There are several if it occurs on several domains.
fn visit_all_of(catalog: &dyn Catalog, id: &str, visit: &mut dyn FnMut(&dyn Asset) -> ControlFlow<()>) {
    catalog.scan(Bound::Included(id), &mut |asset| {
        if asset.id() == id { visit(asset) } else { ControlFlow::Break(()) }
    });
}
