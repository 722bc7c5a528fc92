//! The catalogs: real recordings where there are some, otherwise the synthetic one.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use catalog_tests::mock_server::MemoryCatalog;
use catalog_tests::synthetic::{LETTERS, Synthetic};
use serde_json::Value;

/// Assets of the synthetic catalog: about as many as a recorded one of North America.
const SYNTHETIC: u64 = 30_000;

/// Result objects in id order, and what they are.
pub(crate) struct Objects {
    pub(crate) objects: Vec<Bytes>,
    pub(crate) description: String,
}

impl Objects {
    /// The recordings that `CATALOG_RECORDINGS` names, or the synthetic catalog; at most so many objects.
    pub(crate) fn load(most: Option<usize>) -> Result<Self> {
        let most = most.unwrap_or(usize::MAX);
        let Some(folder) = env::var_os("CATALOG_RECORDINGS") else {
            let assets = SYNTHETIC.min(u64::try_from(most)?);
            let objects: Vec<Bytes> = Synthetic::new(assets, 40).objects().collect();
            return Ok(Self { description: format!("{} synthetic objects", objects.len()), objects });
        };
        let recording = largest_recording(Path::new(&folder))?;
        let mut objects = MemoryCatalog::from_ndjson(&recording)?.objects();
        objects.truncate(most);
        Ok(Self { description: format!("{} recorded objects", objects.len()), objects })
    }

    /// A catalog of so many copies of each object, each copy under an id of its own.
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

/// The object under another id: its first letter is moved along the alphabet.
fn copied(object: &Bytes, copy: usize) -> Result<Bytes> {
    if copy == 0 {
        return Ok(object.clone());
    }
    let text = std::str::from_utf8(object)?;
    let id =
        serde_json::from_str::<Value>(text)?["resource"]["id"].as_str().context("it has an id")?.to_owned();
    let first = LETTERS.iter().position(|letter| id.as_bytes().first() == Some(letter));
    let first = first.with_context(|| format!("{id} is no id"))?;
    // A quarter of the alphabet a copy, so that four copies have different ids.
    let letter = char::from(LETTERS[(first + copy * LETTERS.len() / 4) % LETTERS.len()]);
    let other = format!("{letter}{}", id.get(1..).unwrap_or_default());
    Ok(text.replace(&id, &other).into())
}

/// Gives every 20th asset a name of this revision; returns how many have one.
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
