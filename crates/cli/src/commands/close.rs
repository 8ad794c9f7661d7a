//! `close`: the end of a log.

use audit::rfc3339;
use ledger::{Appended, Ledger, Submission};
use serde::Serialize;

use super::{require_log, stranger};
use crate::args::Configuration;
use crate::error::CommandError;
use crate::ui::{Answer, Ui};
use crate::values;

/// End the log for ever, in public
///
/// For a key that is to be retired without a planned change, or that is in the wrong hands. The last leaf keeps the time
/// and the reason; nothing can follow it. Recorded tags are served from then on, and nothing new is recorded.
/// `tlogistry init --successor-of DIR` makes the log that continues it.
///
/// The server has to be stopped.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Why; everybody can read it in the log
    #[arg(long, value_name = "TEXT", value_parser = values::reason)]
    reason: taglog::Reason,
    /// The name of the log that is to end, so that it is no other [default: asked for on a terminal]
    #[arg(long, value_name = "ORIGIN")]
    origin: Option<String>,
    #[command(flatten)]
    configuration: Configuration,
}

#[derive(Serialize)]
struct Closed<'a> {
    kind: &'static str,
    origin: &'a str,
    index: u64,
    time: u64,
    reason: &'a str,
    size: u64,
}

pub(crate) fn run(ui: &Ui, args: Args) -> Result<Answer, CommandError> {
    let config = args.configuration.load()?;
    let options = server::ledger_options(&config);
    require_log(&options)?;
    let (data_dir, witnesses) = (options.data_dir.clone(), options.publication.witnesses.is_some());
    let ledger = Ledger::open(options)?;
    let origin = ledger.origin();
    if let Some(read_only) = ledger.read_only() {
        return Err(CommandError::new(read_only.clone()));
    }
    confirm(ui, origin, args.origin)?;
    let submission = Submission::Close { reason: args.reason.clone() };
    let appended = stranger::wait(async {
        server::ask_witnesses(&config, &ledger).await.map_err(CommandError::new)?;
        let appended = ledger.append(submission).await.map_err(CommandError::new);
        ledger.close().await;
        appended
    })?;
    let Appended::Closed { index, time } = appended else {
        return Err(CommandError::new(anyhow::anyhow!("the ledger did not close the log")));
    };
    let (reason, size) = (args.reason.as_str(), ledger.signed().borrow().size);
    let text = format!("leaf {index} at {}: close {origin}\n  reason {reason}\n", rfc3339(time));
    let answered = ui.answer(Answer::Yes, text, &Closed { kind: "close", origin, index, time, reason, size });
    ui.note(format_args!(
        "the log `{origin}` has ended; `tlogistry init --successor-of {}`, with a new name and data directory, continues it",
        data_dir.display()
    ));
    if witnesses {
        ui.note("its last checkpoint is not cosigned: start `tlogistry serve` once more, until its witnesses have");
    }
    answered
}

/// Whether the log called `origin` is the one that is `meant`; a person is asked.
fn confirm(ui: &Ui, origin: &str, meant: Option<String>) -> Result<(), CommandError> {
    let question = format!("This ends the log `{origin}` for ever. To go on, type its name: ");
    let meant = match meant {
        Some(meant) => Some(meant),
        None => ui.ask(&question)?,
    };
    let error = match meant {
        Some(meant) if meant == origin => return Ok(()),
        Some(meant) => anyhow::anyhow!("the log here is `{origin}`, not `{meant}`; nothing was written"),
        None => anyhow::anyhow!("nobody is here to confirm that the log `{origin}` ends"),
    };
    Err(CommandError::new(error)
        .hinted(format!("write `--origin {origin}` if it is the one to end for ever")))
}
