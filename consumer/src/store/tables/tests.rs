//! Snapshots of the statements, each kind for a table that shows most of it.
//! `CATALOG_WRITE_DOCS=1 dev/test --lib -- snapshots` writes them again.

use std::path::Path;
use std::{env, fs};

use super::statements::{
    add_candidates, can_copy, compare, copy, count, count_made, fetch, find_candidates, list, mark_refused,
    repair, upsert, upsert_newer,
};
use super::{AGENCIES, DATASET_STATS, DATASETS, DOMAINS, Table};

type Build = fn(&Table) -> String;

const SHOWN: [(&Table, &[Build]); 4] = [
    (&DATASETS, &[upsert, can_copy, copy, find_candidates, compare]),
    (&DATASET_STATS, &[fetch]),
    (&DOMAINS, &[upsert_newer]),
    (&AGENCIES, &[upsert_newer, add_candidates, repair, count, count_made, list, mark_refused]),
];

#[test]
fn built_statements_are_those_of_the_snapshots() -> anyhow::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/tables/snapshots");
    for (table, builds) in SHOWN {
        let statements: Vec<String> = builds.iter().map(|build| build(table) + ";\n").collect();
        let (path, built) = (folder.join(format!("{}.sql", table.name)), statements.join("\n"));
        if env::var_os("CATALOG_WRITE_DOCS").is_some() {
            fs::write(&path, &built)?;
        }
        assert_eq!(fs::read_to_string(&path)?, built, "write the snapshots again, see CONTRIBUTING.md");
    }
    Ok(())
}
