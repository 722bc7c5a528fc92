//! The catalogs: real recordings if there are any, otherwise the synthetic one.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use catalog_tests::mock_server::MemoryCatalog;
use catalog_tests::synthetic::{LETTERS, Synthetic};
use serde_json::Value;

/// The number of assets of the synthetic catalog: about as many as in a recording of North America.
const SYNTHETIC: u64 = 30_000;

/// Result objects in the order of their ids, and their description.
pub(crate) struct Objects {
    pub(crate) objects: Vec<Bytes>,
    pub(crate) description: String,
}

impl Objects {
    /// The recordings that `CATALOG_RECORDINGS` names, or the synthetic catalog; at most `limit` objects.
    pub(crate) fn load(limit: Option<usize>) -> Result<Self> {
        let limit = limit.unwrap_or(usize::MAX);
        let Some(folder) = env::var_os("CATALOG_RECORDINGS") else {
            let assets = SYNTHETIC.min(u64::try_from(limit)?);
            let objects: Vec<Bytes> = Synthetic::new(assets, 40).objects().collect();
            return Ok(Self { description: format!("{} synthetic objects", objects.len()), objects });
        };
        let recording = largest_recording(Path::new(&folder))?;
        let mut objects = MemoryCatalog::from_ndjson(&recording)?.objects();
        objects.truncate(limit);
        Ok(Self { description: format!("{} recorded objects", objects.len()), objects })
    }

    /// A catalog with several copies of each object. Each copy has a different id.
    pub(crate) fn catalog(&self, copies: usize) -> Result<MemoryCatalog> {
        let all = (0..copies).flat_map(|copy| self.objects.iter().map(move |object| copied(object, copy)));
        Ok(MemoryCatalog::from_objects(all.collect::<Result<Vec<_>>>()?)?)
    }
}

fn largest_recording(folder: &Path) -> Result<PathBuf> {
    let mut recordings = Vec::new();
    for file in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = file?.path();
        let name = path.to_string_lossy();
        if name.ends_with(".ndjson") || name.ends_with(".ndjson.gz") {
            recordings.push((path.metadata()?.len(), path));
        }
    }
    let largest = recordings.into_iter().max().map(|(_, path)| path);
    largest.context("CATALOG_RECORDINGS names a folder without recordings (*.ndjson, *.ndjson.gz)")
}

/// The object with another id: its first letter is shifted in the alphabet.
fn copied(object: &Bytes, copy: usize) -> Result<Bytes> {
    if copy == 0 {
        return Ok(object.clone());
    }
    let text = std::str::from_utf8(object)?;
    let id =
        serde_json::from_str::<Value>(text)?["resource"]["id"].as_str().context("it has an id")?.to_owned();
    let first = LETTERS.iter().position(|letter| id.as_bytes().first() == Some(letter));
    let first = first.with_context(|| format!("{id} is no id"))?;
    // Each copy is shifted by a quarter of the alphabet, so that four copies have different ids.
    let letter = char::from(LETTERS[(first + copy * LETTERS.len() / 4) % LETTERS.len()]);
    let other = format!("{letter}{}", id.get(1..).unwrap_or_default());
    Ok(text.replace(&id, &other).into())
}

/// Changes the name of every 20th asset to one of this revision. Returns the number of changed assets.
pub(crate) fn revise(catalog: &MemoryCatalog, revision: usize) -> Result<usize> {
    let ids: Vec<String> = catalog.ids().into_iter().step_by(20).collect();
    for id in &ids {
        let mut object: Value = serde_json::from_slice(&catalog.get(id).context("it is there")?)?;
        object["resource"]["name"] = format!("{id}, revision {revision}").into();
        catalog.put(object.to_string())?;
    }
    ensure!(!ids.is_empty(), "the catalog is empty");
    Ok(ids.len())
}
