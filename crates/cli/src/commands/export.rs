//! `export`: the log as static files.

use std::path::PathBuf;

use serde::Serialize;

use super::require_log;
use crate::args::Configuration;
use crate::error::CommandError;
use crate::ui::{Answer, Ui};

/// Write the log as static files
///
/// Checkpoint, tiles and entry bundles (C2SP tlog-tiles), which any web server can serve below the log's name, and from
/// which `tlogistry restore` rebuilds a data directory. Works while the server runs; a second export into the same
/// directory writes only what is new. The checkpoint goes last, so that a reader never sees half an export.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The directory; empty, or with an older export of this log
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
    let exported = exported.map_err(CommandError::new)?;
    let directory = args.directory.display().to_string();
    if ui.is_json() {
        let ledger::Exported { size, written, compared } = exported;
        ui.print("", &Written { directory: directory.clone(), size, written, compared })?;
    }
    ui.note(format_args!(
        "`{directory}` holds {} leaves (new files: {}, unchanged: {}); serve it below `{}`",
        exported.size, exported.written, exported.compared, config.log.origin
    ));
    Ok(Answer::Yes)
}
