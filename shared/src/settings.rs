//! The settings in effect, as one line of the log.

use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::events;
use crate::exit::Stop;
use crate::kafka::KafkaArgs;
use crate::version;

/// The flags of a command with the values in effect: from the command line, the environment or the defaults.
#[derive(Debug)]
pub struct Settings(String);

impl Settings {
    /// The settings of the command that was parsed. `command` must be built.
    pub(crate) fn new(mut command: &Command, mut matches: &ArgMatches) -> Self {
        while let Some((name, inner)) = matches.subcommand() {
            let Some(found) = command.find_subcommand(name) else { break };
            (command, matches) = (found, inner);
        }
        let settings = command.get_arguments().filter_map(|arg| setting(arg, matches));
        Self(settings.collect::<Vec<_>>().join(" "))
    }

    /// Logs the settings, without secrets. `database` and `api` are addresses without secrets.
    ///
    /// # Errors
    /// Same as [`KafkaArgs::shown_options`].
    pub fn log(&self, kafka: &KafkaArgs, database: Option<&str>, api: Option<&str>) -> Result<(), Stop> {
        let options = Some(kafka.shown_options()?).filter(|options| !options.is_empty());
        tracing::info!(
            event = events::CONFIGURED,
            version = version::VERSION,
            build = version::BUILD,
            librdkafka = version::librdkafka(),
            settings = self.0,
            kafka_options = options,
            database,
            api,
            "configuration"
        );
        Ok(())
    }
}

/// A flag with its value as on a command line. `None` if it has no value.
fn setting(arg: &Arg, matches: &ArgMatches) -> Option<String> {
    let (id, name) = (arg.get_id().as_str(), arg.get_long()?);
    match arg.get_action() {
        ArgAction::SetTrue => matches.get_flag(id).then(|| format!("--{name}")),
        ArgAction::Set | ArgAction::Append => {
            let values = matches.get_raw(id)?;
            // An argument hides the values of its variable if they may contain a secret.
            let shown = |value: &std::ffi::OsStr| match arg.is_hide_env_values_set() {
                true => format!("--{name} ***"),
                false => format!("--{name} {}", value.to_string_lossy()),
            };
            Some(values.map(shown).collect::<Vec<_>>().join(" "))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser, Debug)]
    struct Cli {
        #[arg(long, default_value = "auto", global = true)]
        log_format: String,

        #[command(subcommand)]
        _command: Inner,
    }

    #[derive(clap::Subcommand, Debug)]
    enum Inner {
        Run {
            #[arg(long)]
            migrate: bool,

            #[arg(long)]
            dry_run: bool,

            #[arg(long, default_value_t = 2)]
            connections: u16,

            #[arg(long)]
            limit: Option<u16>,

            #[arg(long, env = "X_TEST_TOKEN", hide_env_values = true)]
            token: Vec<String>,
        },
    }

    fn settings(line: &str) -> String {
        use clap::CommandFactory;
        let mut command = Cli::command();
        command.build();
        let matches = command.clone().try_get_matches_from(line.split(' ')).unwrap();
        Settings::new(&command, &matches).0
    }

    #[test]
    fn defaults_and_set_flags_are_shown_and_unset_ones_are_not() {
        assert_eq!(settings("x run"), "--connections 2 --log-format auto");
        let shown = "--migrate --connections 4 --limit 7 --log-format json";
        assert_eq!(settings("x --log-format json run --limit 7 --migrate --connections 4"), shown);
    }

    #[test]
    fn values_that_may_be_secret_are_hidden() {
        let shown = settings("x run --token Hunter2 --token=Hunter3");
        assert_eq!(shown, "--connections 2 --token *** --token *** --log-format auto");
    }
}
