//! `close`: the end of a log.

use ledger::{Appended, Ledger, Submission};
use serde::Serialize;

use super::{require_log, stranger};
use crate::args::Configuration;
use crate::error::CommandError;
use crate::ui::{Answer, Ui};
use crate::values;

/// End a log, in public and for ever
///
/// Writes a last leaf that says why. Recorded tags are served from then on, and nothing new is recorded. The log that
/// goes on is made with `tlogistry init --successor-of DIR`. The server has to be stopped meanwhile.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Why; everybody can read it in the log
    #[arg(long, value_name = "TEXT", value_parser = values::reason)]
    reason: taglog::Reason,
    /// The name of the log that is to end, so that it is no other
    #[arg(long, value_name = "ORIGIN")]
    origin: String,
    #[command(flatten)]
    configuration: Configuration,
}

#[derive(Serialize)]
struct Closed {
    origin: String,
    index: u64,
    size: u64,
}

pub(crate) fn run(ui: &Ui, args: Args) -> Result<Answer, CommandError> {
    let config = args.configuration.load()?;
    let options = server::ledger_options(&config);
    require_log(&options)?;
    let ledger = Ledger::open(options)?;
    let origin = ledger.origin().to_owned();
    if origin != args.origin {
        return Err(CommandError::new(anyhow::anyhow!("the log here is `{origin}`, not `{}`", args.origin))
            .hinted(format!("write `--origin {origin}` if it is the one to end")));
    }
    let closed = stranger::wait(async {
        let appended = ledger.append(Submission::Close { reason: args.reason }).await;
        let appended = appended.map_err(CommandError::new);
        ledger.close().await;
        appended
    })?;
    let Appended::Closed { index, .. } = closed else {
        return Err(CommandError::new(anyhow::anyhow!("the log was not closed")));
    };
    let size = ledger.signed().borrow().size;
    ui.print(format_args!("leaf {index}: close"), &Closed { origin: origin.clone(), index, size })?;
    ui.note(format_args!("`{origin}` has ended with {size} leaves"));
    ui.note(format_args!(
        "`tlogistry init --successor-of {}` makes the log that goes on, in another data directory",
        config.data_dir.display()
    ));
    Ok(Answer::Yes)
}
