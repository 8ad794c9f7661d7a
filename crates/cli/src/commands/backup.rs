//! `backup`: a copy of the database, also while the server runs.

use std::io::ErrorKind;
use std::path::PathBuf;

use serde::Serialize;

use super::require_log;
use crate::args::Configuration;
use crate::error::CommandError;
use crate::ui::{Answer, Ui};

/// Copy the log's database to a new file
///
/// Works while the server runs, and copies the state of one moment. The key and the rollback guard are not in the
/// copy: keep a copy of the key elsewhere, and never restore an old guard.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The file to write; must not exist
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    configuration: Configuration,
}

#[derive(Serialize)]
struct Copied {
    file: String,
    bytes: u64,
}

pub(crate) fn run(ui: &Ui, args: Args) -> Result<Answer, CommandError> {
    let config = args.configuration.load()?;
    let options = server::ledger_options(&config);
    require_log(&options)?;
    ledger::backup(&options, &args.file).map_err(hinted)?;
    let unread =
        |error| CommandError::new(error).because_of(format!("cannot read `{}`", args.file.display()));
    let bytes = std::fs::metadata(&args.file).map_err(unread)?.len();
    let file = args.file.display().to_string();
    if ui.is_json() {
        ui.print("", &Copied { file, bytes })?;
    } else {
        ui.note(format_args!("copied the log to `{file}` ({bytes} bytes)"));
    }
    ui.note(format_args!(
        "its key is not in it: keep a copy of `{}` elsewhere",
        options.key_path().display()
    ));
    Ok(Answer::Yes)
}

fn hinted(error: ledger::Error) -> CommandError {
    let hint = match &error {
        ledger::Error::File { doing: "create", source, .. } => match source.kind() {
            ErrorKind::AlreadyExists => Some("a backup never overwrites anything: name another file"),
            ErrorKind::NotFound => Some("make the directory of the file first"),
            _ => Some("name a file where this user may write"),
        },
        ledger::Error::File { doing: "read", .. } => Some("is the volume of the data directory mounted?"),
        _ => None,
    };
    CommandError::new(error).hinted_if(hint)
}
