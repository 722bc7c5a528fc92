//! Completions and man pages, as the programs make them.

use std::fs;
use std::process::Command as Process;

use anyhow::{Context, Result, ensure};
use catalog_shared::command_files::{ManArgs, completions, write_man_pages};
use catalog_shared::version::{BUILD, VERSION, librdkafka};
use clap::{Command, CommandFactory, ValueEnum};
use clap_complete::Shell;
use tempfile::TempDir;

fn programs() -> [Command; 2] {
    [catalog_producer::cli::Cli::command(), catalog_consumer::cli::Cli::command()]
}

/// What bash proposes after these words; the last one is incomplete.
fn proposed(program: &Command, words: &[&str]) -> Result<Vec<String>> {
    let (name, last) = (program.get_name(), words.last().context("no word")?);
    let before = words.len().checked_sub(2).map_or(name, |index| words[index]);
    let script = format!(
        "{}\nCOMP_WORDS=({name} {})\nCOMP_CWORD={}\n\
         function=$(complete -p {name} | sed 's/.* -F \\([^ ]*\\) .*/\\1/')\n\
         $function {name} '{last}' '{before}'\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"",
        completions(program.clone(), Shell::Bash),
        words.join(" "),
        words.len(),
    );
    let ended = Process::new("bash").args(["-c", &script]).output()?;
    ensure!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    Ok(String::from_utf8(ended.stdout)?.split_whitespace().map(str::to_owned).collect())
}

#[test]
fn bash_completes_commands_flags_and_values() -> Result<()> {
    let [producer, consumer] = programs();
    assert_eq!(proposed(&consumer, &["ru"])?, ["run", "runs"]);
    assert_eq!(proposed(&consumer, &["runs", "ap"])?, ["approve"]);
    assert_eq!(proposed(&consumer, &["dead-letters", "list", "--reg"])?, ["--region"]);
    assert_eq!(proposed(&producer, &["crawl", "--page"])?, ["--page-size"]);
    assert_eq!(proposed(&producer, &["--log-format", "j"])?, ["json"]);
    Ok(())
}

#[test]
fn each_shell_has_completions_with_all_commands() {
    for (program, shell) in programs()
        .iter()
        .flat_map(|program| Shell::value_variants().iter().map(move |shell| (program, *shell)))
    {
        let script = completions(program.clone(), shell);
        for command in program.get_subcommands() {
            assert!(script.contains(command.get_name()), "{shell} does not know {}", command.get_name());
        }
    }
}

/// The names of the pages of a command and of those below it.
fn pages(path: &str, command: &Command) -> Vec<String> {
    let inner =
        command.get_subcommands().flat_map(|inner| pages(&format!("{path}-{}", inner.get_name()), inner));
    inner.chain([format!("{path}.1")]).collect()
}

#[test]
fn each_command_has_a_man_page_with_its_flags_and_variables() -> Result<()> {
    let folder = TempDir::new()?;
    for program in programs() {
        write_man_pages(program.clone(), &ManArgs { dir: folder.path().join("new") })?;
        for page in pages(program.get_name(), &program) {
            ensure!(folder.path().join("new").join(&page).exists(), "there is no page {page}");
        }
    }
    let page = fs::read_to_string(folder.path().join("new/catalog-consumer-run.1"))?;
    for expected in ["\\-\\-batch\\-size", "CATALOG_BATCH_SIZE", "default: 2000", "KAFKA_BROKERS"] {
        ensure!(page.contains(expected), "catalog-consumer-run.1 lacks {expected}:\n{page}");
    }
    Ok(())
}

#[test]
fn the_long_version_names_build_and_librdkafka_and_the_short_one_does_not() {
    for program in programs() {
        let name = program.get_name().to_owned();
        assert_eq!(program.render_version(), format!("{name} {VERSION}\n"));
        let long = format!("{name} {VERSION} ({BUILD})\nlibrdkafka {}\n", librdkafka());
        assert_eq!(program.render_long_version(), long);
    }
}
