//! `config …`: what the configuration comes to, here and at clients.

mod check;
mod client;
mod show;

use server::config::{Config, unknown_variables};

use crate::error::CommandError;
use crate::ui::{Answer, Ui};

/// Show or check the configuration, and set up clients
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Show(show::Args),
    Check(check::Args),
    Client(client::Args),
}

pub(super) fn run(ui: &Ui, command: Command) -> Result<Answer, CommandError> {
    match command {
        Command::Show(args) => show::run(ui, args),
        Command::Check(args) => check::run(ui, args),
        Command::Client(args) => client::run(ui, args),
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
