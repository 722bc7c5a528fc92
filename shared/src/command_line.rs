//! Parses the command line without quoting possible secrets.

use std::ffi::OsString;
use std::io::ErrorKind;

use clap::Parser;
use clap::error::{ContextKind, ContextValue, Error};

use crate::exit::FAILED;
use crate::settings::Settings;

/// A parsed command line.
#[derive(Debug)]
pub struct Parsed<C> {
    /// The command line.
    pub cli: C,
    /// Its settings, for the log.
    pub settings: Settings,
}

/// Parses the command line. Shows help or an error and exits, as [`Parser::parse`] does, but does not quote unexpected
/// arguments: they may be an app token, a database URL or a part of a Kafka option.
#[must_use]
pub fn parse<C: Parser>() -> Parsed<C> {
    read(std::env::args_os()).unwrap_or_else(|error| std::process::exit(show(&error)))
}

/// Shows help or an error, and returns the exit code. Help that can't be written is a failure, except for a closed pipe
/// (`| head`).
fn show(error: &Error) -> i32 {
    match error.print() {
        Err(unwritten) if !error.use_stderr() && unwritten.kind() != ErrorKind::BrokenPipe => FAILED.into(),
        _ => error.exit_code(),
    }
}

fn read<C: Parser>(args: impl IntoIterator<Item = OsString>) -> Result<Parsed<C>, Error> {
    read_matches(args).map_err(|mut error| {
        for kind in [ContextKind::InvalidArg, ContextKind::InvalidSubcommand] {
            let is_hidden = match error.get(kind) {
                Some(ContextValue::String(text)) => !is_flag_or_word(text),
                _ => false,
            };
            if is_hidden {
                error.insert(kind, ContextValue::String("***".to_owned()));
            }
        }
        error
    })
}

fn read_matches<C: Parser>(args: impl IntoIterator<Item = OsString>) -> Result<Parsed<C>, Error> {
    let mut command = C::command();
    command.build();
    let matches = command.try_get_matches_from_mut(args)?;
    let cli = C::from_arg_matches(&matches).map_err(|error| error.format(&mut command))?;
    Ok(Parsed { cli, settings: Settings::new(&command, &matches) })
}

/// Whether an argument is quoted: the name of a flag or of a positional argument, or a possibly misspelled command.
fn is_flag_or_word(text: &str) -> bool {
    const MAX_COMMAND_LEN: usize = 12;
    let plain = text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    let positional = text.strip_prefix('<').and_then(|rest| rest.strip_suffix('>'));
    let is_positional = positional.is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_uppercase()));
    is_positional || text.starts_with('-') || (plain && text.len() <= MAX_COMMAND_LEN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Parser, Debug)]
    enum Cli {
        Run {
            #[arg(long)]
            database_url: Option<String>,
        },
        Completions {
            #[arg(value_parser = ["bash"])]
            shell: String,
        },
    }

    fn refusal(line: &str) -> String {
        read::<Cli>(line.split(' ').map(OsString::from)).unwrap_err().to_string()
    }

    #[test]
    fn unexpected_arguments_are_not_quoted() {
        for line in [
            "x run postgres://me:Hunter2@h/d",
            "x run --database-url a sasl.password=Hunter2",
            "x run --databse-url=postgres://me:Hunter2@h/d",
            "x postgres://me:Hunter2@h/d",
            "x run -Hunter2",
        ] {
            assert!(!refusal(line).contains("Hunter2"), "{}", refusal(line));
        }
    }

    #[test]
    fn misspelled_flags_and_commands_are_quoted() {
        assert!(refusal("x run --databse-url=a").contains("--databse-url"));
        assert!(refusal("x rnu").contains("rnu"));
        assert!(refusal("x completions csh").contains("'csh' for '<SHELL>'"));
    }
}
