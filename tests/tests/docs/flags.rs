//! docs/reference/flags.md is generated from the command lines of both programs.
//!
//! `CATALOG_WRITE_DOCS=1 dev/test -p catalog-tests --test docs` updates it.

use std::collections::BTreeMap;
use std::fmt::Write;

use anyhow::{Context, Result, ensure};
use catalog_tests::docs::root;
use clap::{Arg, ArgAction, Command, CommandFactory};

const PAGE: &str = "docs/reference/flags.md";
const WRITE: &str = "CATALOG_WRITE_DOCS";

/// The headings of flags that many commands have. Each is listed once.
const SHARED: [&str; 2] = ["Kafka", "PostgreSQL"];

const INTRODUCTION: &str = "\
# Flags

<!-- Made from the programs by a test: CATALOG_WRITE_DOCS=1 dev/test -p catalog-tests --test docs -->

A flag wins over its variable. [Configuration](configuration.md) explains the formats of values, and has the variables
that have no flag. `--help` and `--version` work everywhere.
";

/// Both command lines.
pub(crate) fn programs() -> [Command; 2] {
    let mut programs = [catalog_producer::cli::Cli::command(), catalog_consumer::cli::Cli::command()];
    programs.iter_mut().for_each(Command::build);
    programs
}

/// The page, and the flags under shared headings so far.
#[derive(Default)]
struct Writer {
    page: String,
    shared: BTreeMap<&'static str, String>,
}

impl Writer {
    fn command(&mut self, path: &str, command: &Command) -> Result<()> {
        let commands = command.get_subcommands().filter(|inner| inner.get_name() != "help");
        let commands: Vec<&Command> = commands.collect();
        for inner in &commands {
            self.command(&format!("{path} {}", inner.get_name()), inner)?;
        }
        if commands.is_empty() {
            let about = command.get_about().with_context(|| format!("{path} has no description"))?;
            write!(self.page, "\n## `{path}`\n\n{about}.\n")?;
            self.flags(path, command)?;
        }
        Ok(())
    }

    fn flags(&mut self, path: &str, command: &Command) -> Result<()> {
        let (mut own, mut shared) = (String::new(), Vec::new());
        for heading in SHARED {
            let rows = rows(command, |arg| arg.get_help_heading() == Some(heading))?;
            if rows.is_empty() {
                continue;
            }
            shared.push(format!("[{heading}](#{})", heading.to_lowercase()));
            let known = self.shared.entry(heading).or_insert_with(|| rows.clone());
            ensure!(*known == rows, "{path} has other flags for {heading} than the commands before it");
        }
        own.push_str(&rows(command, |arg| {
            !arg.get_help_heading().is_some_and(|heading| SHARED.contains(&heading))
        })?);
        if !own.is_empty() {
            write!(self.page, "\n{}{own}", header())?;
        }
        if !shared.is_empty() {
            let also = if own.is_empty() { "The" } else { "Also the" };
            write!(self.page, "\n{also} flags for {}.\n", shared.join(" and "))?;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<String> {
        for (heading, rows) in &self.shared {
            write!(self.page, "\n## {heading}\n\n{}{rows}", header())?;
        }
        Ok(self.page)
    }
}

const fn header() -> &'static str {
    "| flag | variable | default | meaning |\n| --- | --- | --- | --- |\n"
}

fn rows(command: &Command, is_wanted: impl Fn(&Arg) -> bool) -> Result<String> {
    let is_own = |arg: &&Arg| !matches!(arg.get_id().as_str(), "help" | "version");
    let args = command.get_arguments().filter(is_own).filter(|arg| is_wanted(arg));
    args.map(|arg| row(command, arg)).collect()
}

fn row(command: &Command, arg: &Arg) -> Result<String> {
    let help = arg.get_help().with_context(|| format!("{} has no description", arg.get_id()))?.to_string();
    // Some defaults are not clap values, so their help ends with them.
    let (help, in_help) = match help.rsplit_once(" [default: ") {
        Some((help, default)) => (help.to_owned(), Some(default.trim_end_matches(']').to_owned())),
        None => (help, None),
    };
    let values = arg.get_default_values();
    let default = match (in_help, values) {
        (Some(default), _) => default,
        (None, [value]) if takes_value(arg) => format!("`{}`", value.to_string_lossy()),
        (None, _) if arg.is_required_set() => "required".to_owned(),
        (None, _) => String::new(),
    };
    let variable = arg.get_env().map(|name| format!("`{}`", name.to_string_lossy())).unwrap_or_default();
    let (flag, meaning) = (flag(arg), meaning(command, arg, &help));
    Ok([flag, variable, default, meaning].map(|cell| cell.replace('|', "\\|")).join(" | "))
        .map(|cells| format!("| {cells} |\n"))
}

fn takes_value(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::Set | ArgAction::Append)
}

fn flag(arg: &Arg) -> String {
    let values = arg.get_value_names().unwrap_or_default();
    let values: String = values.iter().map(|name| format!(" {name}")).collect();
    match arg.get_long() {
        Some(long) if takes_value(arg) => format!("`--{long}{values}`"),
        Some(long) => format!("`--{long}`"),
        None => format!("`{}`", values.trim_start()),
    }
}

fn meaning(command: &Command, arg: &Arg, help: &str) -> String {
    let mut meaning = help.to_owned();
    let values: Vec<String> =
        arg.get_possible_values().iter().map(|value| format!("`{}`", value.get_name())).collect();
    // The many spellings of true and false are omitted.
    if takes_value(arg) && (1..=4).contains(&values.len()) {
        meaning.push_str(&format!(": {}", values.join(", ")));
    }
    let others = command.get_arg_conflicts_with(arg);
    let others: Vec<String> =
        others.iter().filter_map(|other| other.get_long()).map(|long| format!("`--{long}`")).collect();
    if !others.is_empty() {
        meaning.push_str(&format!("; not with {}", others.join(", ")));
    }
    meaning
}

fn page() -> Result<String> {
    let mut writer = Writer { page: INTRODUCTION.to_owned(), ..Writer::default() };
    for program in programs() {
        // The program's own flags belong to all its commands.
        writer.command(program.get_name(), &program)?;
    }
    writer.finish()
}

#[test]
fn the_page_of_flags_equals_what_the_programs_accept() -> Result<()> {
    let (made, file) = (page()?, root().join(PAGE));
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(&file, &made)?;
    }
    let found = std::fs::read_to_string(&file).with_context(|| PAGE.to_owned())?;
    let differs = made.lines().zip(found.lines()).find(|(made, found)| made != found);
    ensure!(
        made == found,
        "{PAGE} differs from what the programs accept. `{WRITE}=1 dev/test -p catalog-tests --test docs` updates it. \
         The first line that differs: {differs:?}"
    );
    Ok(())
}
