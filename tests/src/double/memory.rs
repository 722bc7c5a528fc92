//! A catalog held in memory, from a file or from a list, that a test may change between crawls.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::ops::{Bound, ControlFlow};
use std::path::Path;

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use parking_lot::RwLock;

use super::asset::Stored;
use super::catalog::{Asset, Catalog, DomainCount};

/// A list of result objects, kept byte for byte and sorted by id. It may change while it is served;
/// share it with an `Arc` to do so.
#[derive(Debug, Default)]
pub struct MemoryCatalog {
    contents: RwLock<Contents>,
}

#[derive(Debug, Default)]
struct Contents {
    assets: BTreeMap<String, Stored>,
    /// What `/domains` is to say of a domain instead of the truth.
    declared: BTreeMap<String, u64>,
}

impl MemoryCatalog {
    /// An empty catalog.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A catalog of these objects; of two with one id the later stays.
    ///
    /// # Errors
    /// Names the first one that is no JSON object with the types of a result object.
    pub fn from_objects(objects: impl IntoIterator<Item = Bytes>) -> serde_json::Result<Self> {
        let stored: Result<Vec<_>, _> = objects.into_iter().map(Stored::read).collect();
        let assets = stored?.into_iter().map(|asset| (asset.id.clone(), asset)).collect();
        Ok(Self { contents: RwLock::new(Contents { assets, declared: BTreeMap::new() }) })
    }

    /// Reads a file with one result object a line, plain or compressed with gzip (told by its content).
    ///
    /// # Errors
    /// If the file can't be read, or names the first line that is no result object.
    pub fn from_ndjson(path: &Path) -> io::Result<Self> {
        let text = Bytes::from(read_maybe_gzip(path)?);
        let lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
        let objects = lines.filter(|line| !line.is_empty()).map(|line| text.slice_ref(line));
        Self::from_objects(objects).map_err(|error| {
            io::Error::new(io::ErrorKind::InvalidData, format!("{}: {error}", path.display()))
        })
    }

    /// Adds an object or replaces the one with its id.
    ///
    /// # Errors
    /// If it is no JSON object with the types of a result object; see [`MemoryCatalog::put_as`].
    pub fn put(&self, object: impl Into<Bytes>) -> serde_json::Result<()> {
        let asset = Stored::read(object.into())?;
        self.contents.write().assets.insert(asset.id.clone(), asset);
        Ok(())
    }

    /// Serves these bytes where `id` would be, on `domain`, whatever they are: an object without an id,
    /// with one of the wrong type, or something that is no JSON.
    pub fn put_as(&self, id: &str, domain: &str, object: impl Into<Bytes>) {
        let asset = Stored::opaque(id, domain, object.into());
        self.contents.write().assets.insert(id.to_owned(), asset);
    }

    /// Takes an asset away. Says whether it was there.
    pub fn remove(&self, id: &str) -> bool {
        self.contents.write().assets.remove(id).is_some()
    }

    /// The object of an asset as it is served.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<Bytes> {
        self.contents.read().assets.get(id).map(Stored::object)
    }

    /// All objects as they are served, in id order.
    #[must_use]
    pub fn objects(&self) -> Vec<Bytes> {
        self.contents.read().assets.values().map(Stored::object).collect()
    }

    /// All ids in order.
    #[must_use]
    pub fn ids(&self) -> Vec<String> {
        self.contents.read().assets.keys().cloned().collect()
    }

    /// Makes `/domains` say `count` for a domain instead of what it really holds. It makes a domain
    /// known that holds nothing, too.
    pub fn declare(&self, domain: &str, count: u64) {
        self.contents.write().declared.insert(domain.to_lowercase(), count);
    }
}

impl Catalog for MemoryCatalog {
    fn assets(&self) -> u64 {
        self.contents.read().assets.len() as u64
    }

    fn scan(&self, from: Bound<&str>, visit: &mut dyn FnMut(&dyn Asset) -> ControlFlow<()>) {
        let contents = self.contents.read();
        for asset in contents.assets.range::<str, _>((from, Bound::Unbounded)).map(|(_, asset)| asset) {
            if visit(asset).is_break() {
                return;
            }
        }
    }

    fn domains(&self) -> Vec<DomainCount> {
        let contents = self.contents.read();
        let mut counts = BTreeMap::new();
        for asset in contents.assets.values().filter(|asset| !asset.domain().is_empty()) {
            *counts.entry(asset.domain().to_owned()).or_insert(0) += 1;
        }
        counts.extend(contents.declared.iter().map(|(domain, count)| (domain.clone(), *count)));
        counts.into_iter().map(|(domain, count)| DomainCount { domain, count }).collect()
    }
}

fn read_maybe_gzip(path: &Path) -> io::Result<Vec<u8>> {
    let mut raw = Vec::new();
    File::open(path)?.read_to_end(&mut raw)?;
    if !raw.starts_with(&[0x1f, 0x8b]) {
        return Ok(raw);
    }
    let mut text = Vec::new();
    MultiGzDecoder::new(raw.as_slice()).read_to_end(&mut text)?;
    Ok(text)
}
