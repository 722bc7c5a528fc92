//! Circles of imports between the modules of one folder.

use std::collections::{BTreeMap, BTreeSet};

use crate::crate_files::CrateFile;

/// An import from a module of a folder to its sibling, and the first line that has it.
type Edges = BTreeMap<(String, String), String>;

/// The imports that are part of a circle: per folder, each import between siblings with its line. What a module and its
/// parent import from each other is no circle, because a parent shows what its modules contain.
pub(crate) fn circles(files: &[CrateFile]) -> Vec<String> {
    let mut folders: BTreeMap<Vec<String>, Edges> = BTreeMap::new();
    let modules: BTreeSet<&[String]> = files.iter().flat_map(|file| prefixes(&file.module)).collect();
    for file in files {
        for import in file.source.imports(&file.module) {
            let shared = file.module.iter().zip(&import.path).take_while(|(one, other)| one == other).count();
            let (Some(from), Some(to)) = (file.module.get(shared), import.path.get(shared)) else { continue };
            if modules.contains(&import.path[..=shared]) {
                let edges = folders.entry(file.module[..shared].to_vec()).or_default();
                let place = format!("{}:{}", file.path, import.line);
                edges.entry((from.clone(), to.clone())).or_insert(place);
            }
        }
    }
    folders.into_iter().flat_map(|(folder, edges)| of_folder(&folder, edges)).collect()
}

/// A module and those that it is in.
fn prefixes(module: &[String]) -> impl Iterator<Item = &[String]> {
    (1..=module.len()).map(|length| &module[..length])
}

/// Removes imports from modules that none imports, and of modules that import none, until only circles are left.
fn of_folder(folder: &[String], mut edges: Edges) -> Vec<String> {
    loop {
        let before = edges.len();
        let (from, to): (BTreeSet<_>, BTreeSet<_>) = edges.keys().cloned().unzip();
        edges.retain(|(one, other), _| to.contains(one) && from.contains(other));
        if edges.len() == before {
            break;
        }
    }
    let folder = if folder.is_empty() { "the root".to_owned() } else { folder.join("/") };
    edges.iter().map(|((from, to), place)| format!("{place}: in {folder}, {from} imports {to}")).collect()
}

#[test]
fn a_circle_is_reported_with_each_of_its_imports_at_every_depth() {
    let planted = |files: &[(&str, &str)]| {
        let files: Vec<CrateFile> = files.iter().map(|(path, text)| CrateFile::new(path, text)).collect();
        circles(&files)
    };
    let of_root = ["a.rs:1: in the root, a imports b", "b.rs:2: in the root, b imports a"];
    assert_eq!(planted(&[("a.rs", "use crate::b::X;"), ("b.rs", "\nuse super::a::Y;")]), of_root);
    // Through a third module, and from deeper modules.
    let found = planted(&[
        ("s/t/a.rs", "use super::b::X;"),
        ("s/t/b/mod.rs", "mod inner;"),
        ("s/t/b/inner.rs", "use crate::s::t::{d, c::{Y, Z}};"),
        ("s/t/c.rs", "fn f() { super::a::g() }"),
        ("s/t/d.rs", ""),
    ]);
    let of_deep = [
        "s/t/a.rs:1: in s/t, a imports b",
        "s/t/b/inner.rs:1: in s/t, b imports c",
        "s/t/c.rs:1: in s/t, c imports a",
    ];
    assert_eq!(found, of_deep);
}

#[test]
fn imports_of_parents_and_one_way_imports_are_no_circle() {
    for files in [
        [
            ("s/mod.rs", "pub use a::X;\nuse self::b::Y;"),
            ("s/a.rs", "use super::{Z, b};"),
            ("s/b.rs", "use super::Z;"),
        ],
        [("s/mod.rs", ""), ("s/a.rs", "use crate::s::b::b;"), ("s/b.rs", "use super::missing::X;")],
        [("a/mod.rs", ""), ("a/b.rs", "use crate::c::X;"), ("c.rs", "#[cfg(test)]\nuse crate::a::b;")],
    ] {
        let files = files.map(|(path, text)| CrateFile::new(path, text));
        assert_eq!(circles(&files), [""; 0]);
    }
}
