//! `config …`: what the configuration comes to.

mod check;
mod show;

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
