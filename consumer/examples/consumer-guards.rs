//! The functions whose instructions `dev/guards` counts. Each function with the prefix `count_` processes one page in the
//! format of the API.

use std::hint::black_box;

use catalog_consumer::probe::{self, Records};
use serde::Deserialize;
use serde_json::value::RawValue;

/// A page of 30 synthetic assets.
const PAGE: &str = include_str!("../../tests/guards/page.json");

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    results: Vec<&'a RawValue>,
}

/// An asset's value, and the key that it is published under.
struct Asset<'a> {
    value: &'a str,
    domain: String,
    id: String,
}

#[derive(Deserialize)]
struct Names {
    resource: Resource,
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Resource {
    id: String,
}

#[derive(Deserialize)]
struct Metadata {
    domain: String,
}

fn main() -> serde_json::Result<()> {
    let page: Page<'_> = serde_json::from_str(PAGE)?;
    let assets = page.results.into_iter().map(|value| Asset::read(value.get()));
    let assets = assets.collect::<serde_json::Result<Vec<_>>>()?;
    let records =
        Records::new(assets.iter().map(|asset| (asset.value, asset.domain.as_str(), asset.id.as_str())));
    assert_eq!(count_scan(black_box(&assets)), assets.len());
    assert_eq!(count_decode(black_box(&assets)), assets.len());
    assert_eq!(count_decode_scanned(black_box(&assets)), assets.len());
    assert_eq!(count_batch(black_box(&records)), assets.len());
    Ok(())
}

impl<'a> Asset<'a> {
    fn read(value: &'a str) -> serde_json::Result<Self> {
        let Names { resource: Resource { id }, metadata: Metadata { domain } } = serde_json::from_str(value)?;
        Ok(Self { value, domain, id })
    }
}

#[inline(never)]
fn count_scan(assets: &[Asset<'_>]) -> usize {
    assets.iter().filter_map(|asset| probe::scan(asset.value, &asset.domain, &asset.id)).count()
}

#[inline(never)]
fn count_decode(assets: &[Asset<'_>]) -> usize {
    assets.iter().filter_map(|asset| probe::decode(asset.value, &asset.domain, &asset.id)).count()
}

#[inline(never)]
fn count_decode_scanned(assets: &[Asset<'_>]) -> usize {
    assets.iter().filter_map(|asset| probe::decode_scanned(asset.value, &asset.domain, &asset.id)).count()
}

#[inline(never)]
fn count_batch(records: &Records) -> usize {
    records.batch()
}
