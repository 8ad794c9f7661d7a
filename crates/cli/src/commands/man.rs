//! `man`: the manual pages, for packages.

use std::path::PathBuf;

use clap::CommandFactory as _;

use crate::error::CommandError;
use crate::ui::{Answer, Ui};

/// Print the manual page, or write one for each verb
#[derive(Debug, clap::Args)]
#[command(hide = true)]
pub(crate) struct Args {
    /// A directory to write all pages into
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub(crate) fn run(ui: &Ui, args: Args) -> Result<Answer, CommandError> {
    let command = crate::args::Args::command();
    let Some(directory) = args.dir else {
        let mut page = Vec::new();
        clap_mangen::Man::new(command).render(&mut page).map_err(CommandError::new)?;
        ui.print_text(String::from_utf8_lossy(&page))?;
        return Ok(Answer::Yes);
    };
    clap_mangen::generate_to(command, &directory).map_err(|error| {
        let message = format!("cannot write manual pages into `{}`", directory.display());
        CommandError::new(error).because_of(message).hinted("make the directory first")
    })?;
    ui.note(format_args!("wrote the manual pages into `{}`", directory.display()));
    Ok(Answer::Yes)
}
