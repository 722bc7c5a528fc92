//! `deploy/package` with stand-ins for the programs and for tools that have to be built.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use catalog_tests::docs::Page;
use tempfile::TempDir;

use crate::clone::{Clone, executable};

const PROGRAMS: [&str; 2] = ["catalog-consumer", "catalog-producer"];

/// Writes what the real program would: the tests in `docs` look at its content.
const PROGRAM: &str = r#"name=${0##*/}
case $1 in
  man) mkdir -p "$3" && touch "$3/$name.1" "$3/$name-x.1" ;;
  completions) echo "$name $2" ;;
esac
"#;

/// `cargo cyclonedx` writes an SBOM beside the manifest of each member. Nothing else is needed.
const CARGO: &str = r#"echo "$@" >>calls
[ "$1" = cyclonedx ] || exit 0
for member in $(sed -n 's/^members = \[\(.*\)\]$/\1/p' Cargo.toml | tr -d '",'); do
  mkdir -p "$member" && touch "$member/catalog-${member##*/}.cdx.json"
done
"#;

/// Copies the last but one argument to the last one.
const OBJCOPY: &str = r#"while [ $# -gt 2 ]; do shift; done
cp "$1" "$2"
"#;

fn packaged(parent: &TempDir) -> Result<Clone> {
    let files = [
        "deploy",
        "Cargo.toml",
        "LICENSE-APACHE",
        "LICENSE-MIT",
        "consumer/Cargo.toml",
        "producer/Cargo.toml",
    ];
    let clone = Clone::new(parent.path(), &files)?;
    let built = clone.folder.join("target/release");
    fs::create_dir_all(&built)?;
    for program in PROGRAMS {
        executable(&built.join(program), PROGRAM)?;
    }
    clone.program("cargo", CARGO)?;
    clone.program("objcopy", OBJCOPY)?;
    clone.succeed("deploy/package", &["amd64"])?;
    Ok(clone)
}

/// The value of a key in a line of an asset, such as `source = "../deploy/roles.sql"`.
fn value<'a>(line: &'a str, key: &str) -> Result<&'a str> {
    let after = line.split(&format!("{key} = \"")).nth(1).with_context(|| format!("{line} has no {key}"))?;
    after.split('"').next().context("a value is quoted")
}

/// The assets of a package, each with the file or the pattern that is installed, and where.
fn assets(program: &str) -> Result<Vec<(String, String)>> {
    let folder = program.trim_start_matches("catalog-");
    let manifest = Page::read(&format!("{folder}/Cargo.toml"))?;
    let lines = manifest.text.lines().filter(|line| line.trim_start().starts_with("{ source = "));
    let asset = |line| anyhow::Ok((value(line, "source")?.to_owned(), value(line, "dest")?.to_owned()));
    lines.map(asset).collect()
}

/// As `cargo deb`: paths in `target/release` are those of the workspace, and others are relative to the manifest.
fn path(clone: &Clone, program: &str, source: &str) -> PathBuf {
    let folder = program.trim_start_matches("catalog-");
    match source.starts_with("target/release/") {
        true => clone.folder.join(source),
        false => clone.folder.join(folder).join(source),
    }
}

/// The SBOMs in a folder and those below it.
fn sboms(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(sboms(&path)?);
        } else if path.to_string_lossy().ends_with(".cdx.json") {
            found.push(path);
        }
    }
    Ok(found)
}

fn exists(path: &Path) -> bool {
    let Some((folder, ending)) = path.to_str().and_then(|path| path.split_once('*')) else {
        return path.exists();
    };
    let names = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.file_name());
    names.into_iter().any(|name| name.to_string_lossy().ends_with(ending))
}

#[test]
fn each_file_of_a_debian_package_exists_when_it_is_built() -> Result<()> {
    let parent = TempDir::new()?;
    let clone = packaged(&parent)?;
    for program in PROGRAMS {
        for (source, _) in assets(program)? {
            let path = path(&clone, program, &source);
            ensure!(exists(&path), "{program}: nothing has made {}", path.display());
        }
    }
    let calls = clone.read("calls")?;
    for program in PROGRAMS {
        assert!(calls.contains(&format!("deb --no-build --locked --package {program} --strip ")), "{calls}");
    }
    Ok(())
}

#[test]
fn packages_have_units_settings_scripts_man_pages_and_completions() -> Result<()> {
    for (program, others) in [
        ("catalog-consumer", vec!["deploy/systemd/catalog-consumer.service", "deploy/roles.sql"]),
        (
            "catalog-producer",
            vec![
                "deploy/systemd/catalog-producer@.timer",
                "deploy/systemd/catalog-producer-schedule@.service",
                "deploy/grant-kafka-rights",
            ],
        ),
    ] {
        let assets = assets(program)?;
        for other in others {
            assert!(assets.iter().any(|(source, _)| source.ends_with(other)), "{program} lacks {other}");
        }
        let installed: Vec<String> = assets
            .iter()
            .map(|(source, dest)| format!("{dest}{}", source.rsplit('/').next().unwrap_or_default()))
            .collect();
        for file in [
            "usr/share/man/man1/*.1.gz".to_owned(),
            format!("usr/share/bash-completion/completions/{program}"),
            format!("usr/share/zsh/vendor-completions/_{program}"),
            format!("usr/share/fish/vendor_completions.d/{program}.fish"),
        ] {
            assert!(installed.contains(&file), "{program} lacks {file}: {installed:?}");
        }
    }
    Ok(())
}

/// Debian's tools show it in one line, and cargo-deb breaks a longer one.
#[test]
fn the_description_of_a_package_fits_into_a_line() -> Result<()> {
    for folder in ["consumer", "producer"] {
        let manifest = Page::read(&format!("{folder}/Cargo.toml"))?;
        let line = manifest.text.lines().find(|line| line.starts_with("description = "));
        let description = value(line.context("no description")?, "description")?;
        assert!(description.len() <= 67, "{description}");
    }
    Ok(())
}

#[test]
fn the_archive_has_the_same_files() -> Result<()> {
    let parent = TempDir::new()?;
    let clone = packaged(&parent)?;
    let version = Page::read("Cargo.toml")?;
    let version =
        version.text.lines().find_map(|line| line.strip_prefix("version = ")).context("no version")?;
    let name = format!("catalog-stream-{}-linux-amd64", version.trim_matches('"'));
    let listed = Command::new("tar")
        .args(["-tzf", &format!("dist/{name}.tar.gz")])
        .current_dir(&clone.folder)
        .output()?;
    let listed = String::from_utf8(listed.stdout)?;
    for file in [
        "catalog-consumer",
        "catalog-producer",
        "roles.sql",
        "grant-kafka-rights",
        "LICENSE-MIT",
        "systemd/catalog-consumer.service",
        "man/catalog-consumer.1.gz",
        "man/catalog-producer.1.gz",
        "completions/catalog-consumer",
        "completions/_catalog-producer",
        "completions/catalog-producer.fish",
    ] {
        assert!(listed.lines().any(|line| line == format!("{name}/{file}")), "{file} is not among\n{listed}");
    }
    Ok(())
}

#[test]
fn each_program_has_an_sbom_and_no_other_is_left_in_the_clone() -> Result<()> {
    let parent = TempDir::new()?;
    let clone = packaged(&parent)?;
    let mut found = sboms(&clone.folder)?;
    found.sort();
    let names: Vec<&str> = found.iter().filter_map(|path| path.file_name()?.to_str()).collect();
    assert!(found.iter().all(|path| path.starts_with(clone.folder.join("dist"))), "{found:?}");
    assert_eq!(names.len(), PROGRAMS.len(), "{names:?}");
    assert!(names.iter().zip(PROGRAMS).all(|(name, program)| name.starts_with(program)), "{names:?}");
    Ok(())
}
