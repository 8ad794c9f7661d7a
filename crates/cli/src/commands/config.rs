//! `config …`: what the configuration comes to.

mod check;
mod show;

use server::config::{Config, unknown_variables};

use crate::error::CommandError;
use crate::ui::{Answer, Ui};

/// Show or check the configuration
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Show(show::Args),
    Check(check::Args),
}

pub(super) fn run(ui: &Ui, command: Command) -> Result<Answer, CommandError> {
    match command {
        Command::Show(args) => show::run(ui, args),
        Command::Check(args) => check::run(ui, args),
    }
}

/// What is allowed and still worth a word, of the configuration and of variables that set nothing.
pub(super) fn warnings(config: &Config) -> Vec<String> {
    // A name that is not UTF-8 is none of ours.
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let mut warnings = config.warnings();
    warnings.extend(unknown_variables(names));
    warnings
}
