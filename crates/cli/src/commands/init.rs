//! `init`: a key and a log where there is neither.

use serde::Serialize;

use crate::args::{Configuration, Listen};
use crate::error::CommandError;
use crate::ui::{Answer, Ui};

/// Make a key and a log
///
/// Prints the log's verifier key, by which anybody can check what the log publishes. The name of the log and its
/// answer to `supersede` are fixed from here on; they are `[log] origin` and `[log] supersede` of the configuration.
/// Nothing is ever made over the remains of another log.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    configuration: Configuration,
    #[command(flatten)]
    listen: Listen,
}

#[derive(Serialize)]
struct Made<'a> {
    origin: &'a str,
    verifier_key: &'a str,
    data_dir: String,
    key_file: String,
    guard_file: String,
}

pub(crate) fn run(ui: &Ui, args: Args) -> Result<Answer, CommandError> {
    let config = args.configuration.load_with(args.listen.listen)?;
    let options =
        ledger::Options { origin: Some(config.log.origin.clone()), ..server::ledger_options(&config) };
    let verifier_key = ledger::Ledger::init(&options)?.to_string();
    let made = Made {
        origin: &config.log.origin,
        verifier_key: &verifier_key,
        data_dir: options.data_dir.display().to_string(),
        key_file: options.key_path().display().to_string(),
        guard_file: options.guard_path().display().to_string(),
    };
    ui.print(&verifier_key, &made)?;
    ui.note(format_args!(
        "made the log `{}` in `{}`; `tlogistry serve` starts it",
        made.origin, made.data_dir
    ));
    ui.note(format_args!(
        "keep a copy of its key, `{}`, in another place: nothing can replace it",
        made.key_file
    ));
    Ok(Answer::Yes)
}
