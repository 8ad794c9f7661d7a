//! `completions`: what a shell needs to complete our verbs and flags.

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::error::CommandError;
use crate::ui::{Answer, Ui};

/// Print a completion script for a shell
///
/// For instance: tlogistry completions bash > /etc/bash_completion.d/tlogistry
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The shell
    shell: Shell,
}

pub(crate) fn run(ui: &Ui, Args { shell }: Args) -> Result<Answer, CommandError> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut crate::args::Args::command(), "tlogistry", &mut script);
    ui.print_text(String::from_utf8_lossy(&script))?;
    Ok(Answer::Yes)
}
