//! `export`: the published log as files of a directory, also while the server runs.

use std::path::PathBuf;

use ledger::{ExportError, Exported};
use serde::Serialize;

use super::require_log;
use crate::args::Configuration;
use crate::error::CommandError;
use crate::ui::{Answer, Ui};

/// Write the published log as static files
///
/// Works while the server runs. A directory that holds an older export of this log is brought up to date: only what is
/// new is written, and the checkpoint goes last, so that the directory is a whole log at every moment.
///
/// Any static web server can serve it. It is also what `tlogistry audit DIR` replays and what
/// `tlogistry restore --from DIR` rebuilds a data directory from. Neither key nor manifests are in it.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The directory to write; made where it is missing
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    #[command(flatten)]
    configuration: Configuration,
}

#[derive(Serialize)]
struct Written {
    directory: String,
    size: u64,
    written: u64,
    compared: u64,
}

pub(crate) fn run(ui: &Ui, args: Args) -> Result<Answer, CommandError> {
    let config = args.configuration.load()?;
    let options = server::ledger_options(&config);
    require_log(&options)?;
    let mut progress = ui.progress();
    let exported = ledger::export(&options, &args.directory, |done, total| progress.at("files", done, total));
    drop(progress);
    let Exported { size, written, compared } = exported.map_err(hinted)?;
    let directory = args.directory.display().to_string();
    ui.note(format_args!(
        "exported {size} leaves to `{directory}` (new files: {written}, unchanged: {compared})"
    ));
    ui.note(
        "any static web server serves it as the log: let `checkpoint`, `tile/` and `vkey` lie below one URL, such as `https://mirror.example/log`",
    );
    if ui.is_json() {
        ui.print("", &Written { directory, size, written, compared })?;
    }
    Ok(Answer::Yes)
}

fn hinted(error: ExportError) -> CommandError {
    let hint = match error {
        ExportError::Open(error) => return error.into(),
        ExportError::Ahead { ref path, .. } => {
            let export = path.parent().unwrap_or(path).display();
            Some(format!("`tlogistry restore --from {export}` does"))
        }
        ExportError::Forked { .. } => Some(
            "one of them was restored from too old a copy: keep both, stop the server, and run `tlogistry fsck`"
                .to_owned(),
        ),
        ExportError::Differs { .. } => Some("keep it to find out who did; export into another directory".to_owned()),
        ExportError::File { .. } => Some("name a directory where this user may write".to_owned()),
        // The message ends with the way out.
        _ => None,
    };
    CommandError::new(error).hinted_if(hint)
}
