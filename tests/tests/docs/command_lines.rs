//! Both programs accept every command line that a page shows.

use anyhow::{Result, ensure};
use catalog_tests::docs::{code_spans, pages};
use clap::Command;
use clap::error::ErrorKind;

use crate::flags::programs;

/// The words of a line as in a shell, from the program's name to the end of its command. Quotes are not supported: no page
/// has a blank in an argument of these programs.
fn words(line: &str) -> Option<Vec<&str>> {
    let is_program =
        |word: &&str| matches!(word.rsplit('/').next(), Some("catalog-producer" | "catalog-consumer"));
    let all: Vec<&str> = line.split_whitespace().collect();
    let start = all.iter().position(is_program)?;
    if start.checked_sub(1).is_some_and(|before| all[before] == "-p") {
        return None; // cargo's name of a crate
    }
    // `sudo x`, `timeout 4 x`, `NAME=value x` run a program; `scp x`, `install x` name a file.
    let runs = |word: &&str| matches!(*word, "timeout" | "exec" | "catalog" | "&&") || word.contains('=');
    let is_run = start == 0 || all[..start].iter().any(runs);
    let ends = |word: &&str| matches!(*word, "#" | "&&" | "|" | "&" | ";" | "||") || word.contains('>');
    let words = all[start..].iter().take_while(|word| !ends(word)).copied();
    is_run.then(|| words.collect())
}

/// Why the program refuses these words, if it does.
fn refusal(words: &[&str], programs: &[Command]) -> Option<(ErrorKind, String)> {
    let name = words.first()?.rsplit('/').next()?;
    let program = programs.iter().find(|program| program.get_name() == name)?;
    let result = program.clone().try_get_matches_from(words);
    result.err().map(|error| (error.kind(), error.to_string().lines().next().unwrap_or_default().to_owned()))
}

/// The lines of a block. Lines that end with a backslash are joined with the next.
fn lines(block: &str) -> Vec<String> {
    block.replace("\\\n", " ").lines().map(str::to_owned).collect()
}

#[test]
fn fenced_command_lines_are_accepted() -> Result<()> {
    let (programs, mut checked, mut refused) = (programs(), 0, Vec::new());
    for page in pages()? {
        let blocks = page.blocks()?;
        for block in blocks.iter().filter(|block| block.language != "rust" && block.language != "sql") {
            for line in lines(&block.text) {
                let Some(words) = words(&line) else { continue };
                checked += 1;
                if let Some((kind, error)) = refusal(&words, &programs)
                    && !matches!(kind, ErrorKind::DisplayHelp | ErrorKind::DisplayVersion)
                {
                    refused.push(format!("{}:{}: {line}\n    {error}", page.path, block.line));
                }
            }
        }
    }
    ensure!(checked > 60, "only {checked} command lines were found");
    ensure!(refused.is_empty(), "these are refused:\n{}", refused.join("\n"));
    Ok(())
}

/// A sentence may show a command without its required arguments, and with placeholders for values.
#[test]
fn commands_in_sentences_and_their_flags_exist() -> Result<()> {
    let (programs, mut checked, mut refused) = (programs(), 0, Vec::new());
    for page in pages()? {
        for (line, span) in code_spans(&page.text) {
            let Some(words) = words(&span) else { continue };
            checked += 1;
            if let Some((kind, error)) = refusal(&words, &programs)
                && matches!(kind, ErrorKind::UnknownArgument | ErrorKind::InvalidSubcommand)
            {
                refused.push(format!("{}:{line}: {span}\n    {error}", page.path));
            }
        }
    }
    ensure!(checked > 20, "only {checked} commands were found");
    ensure!(refused.is_empty(), "these are refused:\n{}", refused.join("\n"));
    Ok(())
}

#[test]
fn flags_in_sentences_exist() -> Result<()> {
    /// Flags of other programs in pages.
    const OTHERS: [&str; 7] = [
        "--reset-offsets",
        "--to-latest",
        "--to-datetime",
        "--describe",
        "--members",
        "--execute",
        "--to-earliest",
    ];
    let known = |long: &str| programs().iter().any(|program| knows(program, long));
    let mut unknown = Vec::new();
    for page in pages()? {
        for (line, span) in code_spans(&page.text).into_iter().filter(|(_, span)| span.starts_with("--")) {
            let flag = span.split([' ', '=']).next().unwrap_or_default().to_owned();
            if !OTHERS.contains(&flag.as_str()) && !known(flag.trim_start_matches('-')) {
                unknown.push(format!("{}:{line}: {span}", page.path));
            }
        }
    }
    ensure!(unknown.is_empty(), "no program has these flags:\n{}", unknown.join("\n"));
    Ok(())
}

/// Whether the program or one of its commands has this flag.
fn knows(command: &Command, long: &str) -> bool {
    command.get_arguments().any(|arg| arg.get_long() == Some(long))
        || command.get_subcommands().any(|inner| knows(inner, long))
}

#[test]
fn only_the_words_of_the_program_are_checked() {
    let consumer = |line| words(line).map(|words| words.join(" "));
    assert_eq!(consumer("catalog-consumer run # ends"), Some("catalog-consumer run".to_owned()));
    assert_eq!(consumer("timeout 4 catalog-producer status > x"), Some("catalog-producer status".to_owned()));
    assert_eq!(consumer("scp target/release/catalog-producer server:/bin/"), None);
    assert!(refusal(&["catalog-consumer", "runs", "nothing"], &programs()).is_some());
    assert!(refusal(&["catalog-consumer", "run", "--until-caught-up"], &programs()).is_none());
}
