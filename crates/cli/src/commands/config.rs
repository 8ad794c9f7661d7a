//! `config …`: what the configuration comes to, here and at clients.

mod check;
mod client;
mod show;

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
