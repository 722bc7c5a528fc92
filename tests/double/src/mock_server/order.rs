//! Lists whose order has no meaning. The API changes it whenever it rewrites a
//! document: the five `columns_*` together, `domain_tags`, and `domain_metadata`.

use std::ops::Range;

use super::tokens::{elements, members};
use crate::draw::{Aspect, Draw};

/// What an object's order is drawn from, besides its id.
#[derive(Clone, Copy, Debug)]
pub(super) struct Order {
    /// Chosen by the test.
    pub(super) seed: u64,
    /// The number of the crawl.
    pub(super) crawl: u64,
}

/// A list and its elements, as ranges of a text.
struct List {
    place: Range<usize>,
    elements: Vec<Range<usize>>,
}

impl Order {
    /// Appends the object with these lists in the order of this crawl. All else stays byte for byte.
    pub(super) fn write(self, id: &str, object: &[u8], out: &mut Vec<u8>) {
        let mut written = 0;
        for list in lists(object) {
            out.extend_from_slice(&object[written..list.place.start]);
            out.push(b'[');
            for (number, element) in self.permutation(id, list.elements.len()).into_iter().enumerate() {
                if number > 0 {
                    out.push(b',');
                }
                out.extend_from_slice(&object[list.elements[element].clone()]);
            }
            out.push(b']');
            written = list.place.end;
        }
        out.extend_from_slice(&object[written..]);
    }

    /// The order of a list of this length: equal for all lists of an object that are equally long, as the
    /// lists of columns have to be.
    fn permutation(self, id: &str, length: usize) -> Vec<usize> {
        let mut draw = Draw::new(self.seed ^ hash(id), self.crawl, Aspect::Order);
        let mut order: Vec<usize> = (0..length).collect();
        for last in (1..length).rev() {
            order.swap(last, draw.index(last + 1));
        }
        order
    }
}

/// FNV-1a. It must give the same on every machine, because recordings depend on it.
fn hash(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The lists of an object that may be reordered, in the order of its text.
fn lists(object: &[u8]) -> Vec<List> {
    let mut lists = Vec::new();
    for part in members(object, 0..object.len()) {
        match part.name {
            b"\"resource\"" => lists.extend(columns(object, part.value)),
            b"\"classification\"" => lists.extend(labels(object, part.value)),
            _ => {}
        }
    }
    lists.retain(|list| list.elements.len() > 1);
    lists
}

/// The lists of columns. `None` if they can't be reordered together, because one is longer than
/// another or is not a list.
fn columns(object: &[u8], resource: Range<usize>) -> Vec<List> {
    let mut columns = Vec::new();
    for member in members(object, resource) {
        if member.name.contains(&b'\\') {
            // It may be one of the lists in another spelling.
            return Vec::new();
        }
        let is_null = &object[member.value.clone()] == b"null";
        if !member.name.starts_with(b"\"columns_") || is_null {
            continue;
        }
        let Some(elements) = elements(object, member.value.clone()) else { return Vec::new() };
        columns.push(List { place: member.value, elements });
    }
    let length = columns.first().map_or(0, |list| list.elements.len());
    if columns.iter().all(|list| list.elements.len() == length) { columns } else { Vec::new() }
}

fn labels(object: &[u8], classification: Range<usize>) -> Vec<List> {
    let is_set = |name: &[u8]| name == b"\"domain_tags\"" || name == b"\"domain_metadata\"";
    let sets = members(object, classification).into_iter().filter(|member| is_set(member.name));
    let lists = sets.filter_map(|member| {
        let elements = elements(object, member.value.clone())?;
        Some(List { place: member.value, elements })
    });
    lists.collect()
}
