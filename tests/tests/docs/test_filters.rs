//! The filters of tests in the CI workflow and in nextest's configuration match tests that exist. A matcher without a match
//! is no error for nextest, so a renamed module would silently be left out.

use anyhow::{Context, Result, ensure};
use catalog_tests::docs::root;

const FILES: [&str; 2] = [".github/workflows/ci.yml", ".config/nextest.toml"];

/// The folders whose modules begin the names of tests.
const FOLDERS: [&str; 6] = [
    "consumer/src",
    "producer/src",
    "shared/src",
    "tests/tests/docs",
    "tests/tests/pipeline",
    "tests/tests/scripts",
];

/// The matchers in a text: what `test(…)` contains, such as `/^planted::kafka/` and `=doctor::a_test`.
fn matchers(text: &str) -> Result<Vec<&str>> {
    let starts = text.match_indices("test(").filter(|(at, _)| !text[..*at].ends_with(char::is_alphanumeric));
    starts
        .map(|(at, start)| {
            let rest = &text[at + start.len()..];
            let end = if rest.starts_with('/') { rest.find("/)") } else { rest.find(')') };
            Ok(&rest[..end.context("a matcher has no end")?])
        })
        .collect()
}

/// The paths of the modules that a matcher names, such as `planted/kafka`. It may have one group of alternatives.
fn modules(matcher: &str) -> Vec<String> {
    let path = if let Some(test) = matcher.strip_prefix('=') {
        test.rsplit_once("::").map_or("", |(module, _)| module)
    } else {
        let pattern = matcher.trim_start_matches(['/', '^']);
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "_:|()".contains(c);
        pattern[..pattern.find(|c| !is_plain(c)).unwrap_or(pattern.len())].trim_end_matches("::")
    };
    let (before, group) = path.split_once('(').unwrap_or(("", path));
    let names = group.trim_end_matches(')').split('|');
    names.map(|name| format!("{before}{name}").replace("::", "/")).collect()
}

fn exists(module: &str) -> bool {
    FOLDERS.iter().any(|folder| {
        let path = root().join(folder).join(module);
        path.is_dir() || path.with_extension("rs").is_file()
    })
}

#[test]
fn filters_of_tests_name_modules_that_exist() -> Result<()> {
    let (mut checked, mut missing) = (0, Vec::new());
    for file in FILES {
        let text = std::fs::read_to_string(root().join(file)).context(file)?;
        for module in matchers(&text)?.into_iter().flat_map(modules) {
            checked += 1;
            if !exists(&module) {
                missing.push(format!("{file}: {module}"));
            }
        }
    }
    ensure!(checked > 10, "only {checked} modules are named");
    ensure!(missing.is_empty(), "no module has these names:\n{}", missing.join("\n"));
    Ok(())
}

#[test]
fn matchers_are_read_with_their_alternatives() -> Result<()> {
    let text = "-E 'test(/^a::tests/) + test(/^b::(c|d)::/)'\n+ test(/^e::[a-z]+$/) + test(=f::g::a_test)";
    let named: Vec<String> = matchers(text)?.into_iter().flat_map(modules).collect();
    assert_eq!(named, ["a/tests", "b/c", "b/d", "e", "f/g"]);
    assert!(exists("decision/tests") && !exists("verdict/tests"));
    Ok(())
}
