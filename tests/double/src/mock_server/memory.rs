//! A catalog in memory, from a file or from a list, which a test may change between crawls.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, Read};
use std::ops::{Bound, ControlFlow};
use std::path::Path;

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use parking_lot::RwLock;

use super::asset::Stored;
use super::catalog::{Asset, Audience, Catalog, DomainCount};

/// A list of result objects, stored byte for byte and sorted by id. It may change while it is served;
/// share it with an `Arc` to do so.
#[derive(Debug, Default)]
pub struct MemoryCatalog {
    contents: RwLock<Contents>,
}

#[derive(Debug, Default)]
struct Contents {
    /// By id and then by domain, see [`place`].
    assets: BTreeMap<String, Stored>,
    /// The declared counts of `/domains` that replace the real ones.
    declared: BTreeMap<String, u64>,
    /// The supplementary and locked-down domains.
    restricted: HashMap<String, Audience>,
}

/// The key of an asset. NUL sorts before all characters of ids, so the entries of one id are adjacent and
/// sort before those of any longer id.
fn place(id: &str, domain: &str) -> String {
    format!("{id}\0{domain}")
}

impl Contents {
    fn with_id<'a>(&'a self, id: &'a str) -> impl Iterator<Item = &'a Stored> {
        let from = self.assets.range(place(id, "")..).map(|(_, asset)| asset);
        from.take_while(move |asset| asset.id() == id)
    }

    fn add(&mut self, asset: Stored) {
        self.assets.insert(place(asset.id(), asset.domain()), asset);
    }

    /// Removes all assets with this id. Returns whether there was one.
    fn remove(&mut self, id: &str) -> bool {
        let places: Vec<_> = self.with_id(id).map(|asset| place(id, asset.domain())).collect();
        places.iter().for_each(|place| drop(self.assets.remove(place)));
        !places.is_empty()
    }
}

impl MemoryCatalog {
    /// An empty catalog.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A catalog of these objects. Of two with the same id and domain, the later one is kept.
    ///
    /// # Errors
    /// The error of the first one that is not a JSON object with the types of a result object.
    pub fn from_objects(objects: impl IntoIterator<Item = Bytes>) -> serde_json::Result<Self> {
        let stored: Result<Vec<_>, _> = objects.into_iter().map(Stored::read).collect();
        let mut contents = Contents::default();
        stored?.into_iter().for_each(|asset| contents.add(asset));
        Ok(Self { contents: RwLock::new(contents) })
    }

    /// Reads a file with one result object per line, plain or compressed with gzip (recognized by its content).
    ///
    /// # Errors
    /// If the file can't be read, or has a line that is not a result object; the error names the first one.
    pub fn from_ndjson(path: &Path) -> io::Result<Self> {
        let text = Bytes::from(read_maybe_gzip(path)?);
        let lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
        let objects = lines.filter(|line| !line.is_empty()).map(|line| text.slice_ref(line));
        Self::from_objects(objects).map_err(|error| {
            io::Error::new(io::ErrorKind::InvalidData, format!("{}: {error}", path.display()))
        })
    }

    /// Adds an object, or replaces all objects with its id on any domain.
    ///
    /// # Errors
    /// If it is not a JSON object with the types of a result object; see [`MemoryCatalog::put_as`].
    pub fn put(&self, object: impl Into<Bytes>) -> serde_json::Result<()> {
        let asset = Stored::read(object.into())?;
        let mut contents = self.contents.write();
        contents.remove(asset.id());
        contents.add(asset);
        Ok(())
    }

    /// Adds an object, and keeps objects with the same id on other domains.
    ///
    /// # Errors
    /// Same as [`MemoryCatalog::put`].
    pub fn put_beside(&self, object: impl Into<Bytes>) -> serde_json::Result<()> {
        let asset = Stored::read(object.into())?;
        self.contents.write().add(asset);
        Ok(())
    }

    /// Serves any bytes in the place of `id` on `domain`: an object without an id,
    /// with one of the wrong type, or invalid JSON.
    pub fn put_as(&self, id: &str, domain: &str, object: impl Into<Bytes>) {
        let asset = Stored::opaque(id, domain, object.into());
        let mut contents = self.contents.write();
        contents.remove(id);
        contents.add(asset);
    }

    /// Removes an asset from all its domains. Returns whether it existed.
    pub fn remove(&self, id: &str) -> bool {
        self.contents.write().remove(id)
    }

    /// The object of an asset as it was added. Of several with the same id, the first by domain.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<Bytes> {
        self.contents.read().with_id(id).next().map(Stored::object)
    }

    /// All objects as they were added, in id order.
    #[must_use]
    pub fn objects(&self) -> Vec<Bytes> {
        self.contents.read().assets.values().map(Stored::object).collect()
    }

    /// The ids of all assets in order.
    #[must_use]
    pub fn ids(&self) -> Vec<String> {
        self.contents.read().assets.values().map(|asset| asset.id().to_owned()).collect()
    }

    /// Makes `/domains` declare `count` for a domain instead of the real number. This also makes a domain
    /// without assets known.
    pub fn declare(&self, domain: &str, count: u64) {
        self.contents.write().declared.insert(domain.to_lowercase(), count);
    }

    /// Makes a domain supplementary: it is listed and searched only if `domains` names it.
    pub fn make_supplementary(&self, domain: &str) {
        self.restrict(domain, Audience::WhoNamesIt);
    }

    /// Locks a domain down: no request gets an answer about it, even by its name.
    pub fn lock_down(&self, domain: &str) {
        self.restrict(domain, Audience::Nobody);
    }

    /// Makes a domain a normal one again, which is the default.
    pub fn make_customer(&self, domain: &str) {
        self.contents.write().restricted.remove(&domain.to_lowercase());
    }

    fn restrict(&self, domain: &str, audience: Audience) {
        self.contents.write().restricted.insert(domain.to_lowercase(), audience);
    }
}

impl Catalog for MemoryCatalog {
    fn assets(&self) -> u64 {
        self.contents.read().assets.len() as u64
    }

    fn scan(&self, from: Bound<&str>, visit: &mut dyn FnMut(&dyn Asset) -> ControlFlow<()>) {
        let contents = self.contents.read();
        // A bound after an id is after all of its entries.
        let from = match from {
            Bound::Unbounded => Bound::Unbounded,
            Bound::Included(id) => Bound::Included(place(id, "")),
            Bound::Excluded(id) => Bound::Included(format!("{id}\u{1}")),
        };
        for (_, asset) in contents.assets.range((from, Bound::Unbounded)) {
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

    fn restricted(&self) -> HashMap<String, Audience> {
        self.contents.read().restricted.clone()
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
