//! What `dev/guards` counts the instructions of: each function whose name begins with `count_` goes once through a page in
//! the form of the live API.

use std::hint::black_box;

use bytes::Bytes;
use catalog_producer::probe;

/// A page of 30 synthetic assets.
const PAGE: &[u8] = include_bytes!("../../tests/guards/page.json");
const ASSETS: usize = 30;

fn main() {
    assert_eq!(count_cut_page(black_box(&Bytes::from_static(PAGE))), Some(ASSETS));
}

#[inline(never)]
fn count_cut_page(page: &Bytes) -> Option<usize> {
    probe::cut(page)
}
