//! Every relative link has a target, and every anchor is a heading there.

use std::path::Path;

use anyhow::{Result, ensure};
use catalog_tests::docs::{Page, anchors, links, pages, root};

/// The problem with a link, if there is one.
fn problem(page: &Page, target: &str) -> Option<&'static str> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let folder = Path::new(&page.path).parent().unwrap_or(Path::new(""));
    let file = if path.is_empty() { root().join(&page.path) } else { root().join(folder).join(path) };
    if !file.exists() {
        return Some("has no target");
    }
    if anchor.is_empty() {
        return None;
    }
    let text = std::fs::read_to_string(&file).unwrap_or_default();
    (!anchors(&text).iter().any(|known| known == anchor)).then_some("has no such heading")
}

#[test]
fn links_lead_to_files_and_headings_that_exist() -> Result<()> {
    let (mut checked, mut wrong) = (0, Vec::new());
    for page in pages()? {
        for (line, target) in links(&page.text) {
            checked += 1;
            let problem = problem(&page, &target);
            wrong.extend(problem.map(|problem| format!("{}:{line}: {target} {problem}", page.path)));
        }
    }
    ensure!(checked > 100, "only {checked} links were found");
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

#[test]
fn a_link_without_a_target_or_a_heading_is_a_problem() -> Result<()> {
    let page = Page::read("docs/README.md")?;
    assert_eq!(problem(&page, "glossary.md#states-of-a-run"), None);
    assert_eq!(problem(&page, "glossary.md#nothing"), Some("has no such heading"));
    assert_eq!(problem(&page, "nothing.md"), Some("has no target"));
    Ok(())
}

/// Readers don't find a page without a link.
#[test]
fn each_page_of_docs_is_linked_from_the_index() -> Result<()> {
    let index = Page::read("docs/README.md")?;
    let linked: Vec<String> = links(&index.text).into_iter().map(|(_, target)| target).collect();
    let pages = pages()?;
    let missing = pages.iter().filter_map(|page| page.path.strip_prefix("docs/")).filter(|path| {
        *path != "README.md" && !linked.iter().any(|target| target.split('#').next() == Some(*path))
    });
    let missing: Vec<&str> = missing.collect();
    ensure!(missing.is_empty(), "docs/README.md has no link to {missing:?}");
    Ok(())
}
