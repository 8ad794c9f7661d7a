//! `init`: a key and a log where there is neither.

use std::path::PathBuf;

use ledger::Ledger;
use serde::Serialize;
use server::config::Config;

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
    /// Continue the closed log of this data directory: every current record is recorded again
    #[arg(long, value_name = "DIR")]
    successor_of: Option<PathBuf>,
    /// Make the key that `[log] next_key_file` names instead: from the next start on both keys sign
    #[arg(long, conflicts_with = "successor_of")]
    next_key: bool,
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
    if args.next_key {
        return next_key(ui, &config);
    }
    let options = server::new_log_options(&config);
    let verifier_key = match &args.successor_of {
        None => Ledger::init(&options)?,
        Some(directory) => {
            let closed = Ledger::open(ledger::Options::new(directory))?;
            let mut progress = ui.progress();
            Ledger::init_successor(&options, &closed, |done, total| progress.at("records", done, total))?
        }
    };
    let verifier_key = verifier_key.to_string();
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

/// The second key of a planned change.
fn next_key(ui: &Ui, config: &Config) -> Result<Answer, CommandError> {
    let options = server::ledger_options(config);
    let verifier = ledger::make_next_key(&options)?.to_string();
    ui.print(&verifier, &serde_json::json!({ "verifier_key": verifier }))?;
    ui.note(format_args!(
        "made the next key of `{}` in `{}`; from the next start on both keys sign",
        config.log.origin,
        options.next_key_file.unwrap_or_default().display()
    ));
    ui.note("give its verifier key to everybody who checks, then put the file in the place of the first one");
    Ok(Answer::Yes)
}
