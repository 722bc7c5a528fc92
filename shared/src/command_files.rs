//! Completions for shells and man pages, made from the command line of a program.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::builder::Resettable;
use clap::{Args, Command};
use clap_complete::Shell;

use crate::output;

/// The arguments of `completions`.
#[derive(Args, Debug)]
pub struct CompletionsArgs {
    /// The shell: bash, elvish, fish, powershell or zsh
    #[arg(value_enum, hide_possible_values = true)]
    pub shell: Shell,
}

/// The arguments of `man`.
#[derive(Args, Debug)]
pub struct ManArgs {
    /// The folder for the pages; it is created if it does not exist
    #[arg(long)]
    pub dir: PathBuf,
}

/// Prints the completions of a program for a shell.
///
/// # Errors
/// If standard output can't be written.
pub fn print_completions(command: Command, args: &CompletionsArgs) -> anyhow::Result<()> {
    Ok(output::print(false, &(), completions(command, args.shell))?)
}

/// The completions of a program for a shell.
#[must_use]
pub fn completions(mut command: Command, shell: Shell) -> String {
    let (name, mut script) = (command.get_name().to_owned(), Vec::new());
    clap_complete::generate(shell, &mut command, &name, &mut script);
    let script = String::from_utf8_lossy(&script).into_owned();
    if shell == Shell::Bash { with_one_spelling(&script, &name) } else { script }
}

/// The script spells a program's name with a hyphen in two ways, so it completes nothing after a command
/// (<https://github.com/clap-rs/clap/issues/6421>).
fn with_one_spelling(script: &str, name: &str) -> String {
    script.replace(&name.replace('-', "__subcmd__"), &name.replace('-', "__"))
}

/// Writes a man page for the program and one for each of its commands, such as `catalog-consumer-run.1`.
///
/// # Errors
/// If the folder can't be created or written.
pub fn write_man_pages(command: Command, args: &ManArgs) -> anyhow::Result<()> {
    let written = write(command, &args.dir);
    written.with_context(|| format!("can't write man pages to {}", args.dir.display()))
}

fn write(command: Command, folder: &Path) -> std::io::Result<()> {
    fs::create_dir_all(folder)?;
    // The version of librdkafka is that of the program, not of the page.
    clap_mangen::generate_to(command.long_version(Resettable::Reset), folder)
}
