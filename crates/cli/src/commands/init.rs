//! `init`: a key and a log where there is neither; also one that continues another, and the second key of a log.

use std::path::{Path, PathBuf};

use ledger::{Ledger, Options, ReadOnly};
use serde::Serialize;
use server::config::{Config, pass_on_credentials};

use crate::args::{Configuration, Listen};
use crate::error::CommandError;
use crate::ui::{Answer, Ui};

/// Make a key and a log
///
/// Prints the log's verifier key, by which anybody can check what the log publishes. The name of the log and its
/// answer to `supersede` are fixed from here on; they are `[log] origin` and `[log] supersede` of the configuration.
/// Nothing is ever made over the remains of another log.
///
/// With `--successor-of` the new log continues one that `tlogistry close` has ended: it says so in its first leaf, and
/// records again every tag that was recorded there, with its manifests.
///
/// With `--next-key` it makes no log but the second key of a planned change, in the file that `[log] next_key_file`
/// names, also while the server runs. From the server's next start on both keys sign. Once clients have the second one,
/// it takes the place of the first in `[log] key_file`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    configuration: Configuration,
    #[command(flatten)]
    listen: Listen,
    /// Continue the closed log in this data directory, which no server may have open
    #[arg(long, value_name = "DIR")]
    successor_of: Option<PathBuf>,
    /// The closed log's rollback guard [default: `guard` in its data directory]
    #[arg(long, value_name = "FILE", requires = "successor_of")]
    closed_guard: Option<PathBuf>,
    /// Make the second key of the log that is there
    #[arg(long, conflicts_with_all = ["successor_of", "listen"])]
    next_key: bool,
}

#[derive(Serialize)]
struct Made<'a> {
    origin: &'a str,
    verifier_key: &'a str,
    data_dir: String,
    key_file: String,
    guard_file: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous: Option<&'a Previous>,
}

/// The log that is continued.
#[derive(Serialize)]
struct Previous {
    origin: String,
    records: u64,
}

#[derive(Serialize)]
struct Second<'a> {
    origin: &'a str,
    verifier_key: &'a str,
    key_file: String,
}

pub(crate) fn run(ui: &Ui, args: Args) -> Result<Answer, CommandError> {
    let config = args.configuration.load_with(args.listen.listen)?;
    if args.next_key {
        return next_key(ui, &config);
    }
    let options = server::new_log_options(&config);
    let (verifier_key, previous) = match args.successor_of {
        None => (Ledger::init(&options)?, None),
        Some(data_dir) => {
            let closed = Options { guard_file: args.closed_guard, ..Options::new(data_dir) };
            let (verifier_key, previous) = succeed(ui, &options, closed)?;
            (verifier_key, Some(previous))
        }
    };
    let verifier_key = verifier_key.to_string();
    let made = Made {
        origin: &config.log.origin,
        verifier_key: &verifier_key,
        data_dir: options.data_dir.display().to_string(),
        key_file: options.key_path().display().to_string(),
        guard_file: options.guard_path().display().to_string(),
        previous: previous.as_ref(),
    };
    ui.print(&verifier_key, &made)?;
    ui.note(format_args!(
        "made the log `{}` in `{}`; `tlogistry serve` starts it",
        made.origin, made.data_dir
    ));
    if let Some(Previous { origin, records }) = &previous {
        ui.note(format_args!(
            "it continues `{origin}` (records: {records}); clients follow once they have its key"
        ));
    }
    ui.note(format_args!(
        "keep a copy of its key, `{}`, in another place: nothing can replace it",
        made.key_file
    ));
    Ok(Answer::Yes)
}

/// Makes the log that continues `closed`.
fn succeed(
    ui: &Ui,
    options: &Options,
    closed: Options,
) -> Result<(tlog::VerifierKey, Previous), CommandError> {
    let directory = closed.data_dir.clone();
    if is_same(&directory, &options.data_dir) {
        let error = anyhow::anyhow!("the log in `{}` cannot continue itself", directory.display());
        return Err(CommandError::new(error)
            .hinted("give its successor a data directory of its own with `--data-dir DIR`"));
    }
    let closed = Ledger::open(closed)?;
    if let Some(why) = closed.read_only().filter(|why| **why != ReadOnly::Closed) {
        let error = CommandError::new(why.clone());
        let error = error.because_of(format!("the log in `{}` cannot be continued", directory.display()));
        return Err(match why {
            ReadOnly::GuardMissing { .. } => error.hinted("name its guard with `--closed-guard FILE`"),
            _ => error,
        });
    }
    let (mut progress, mut records) = (ui.progress(), 0);
    let made = Ledger::init_successor(options, &closed, |done, total| {
        records = total;
        progress.at("records", done, total);
    });
    drop(progress);
    let made = made?;
    pass_on_credentials(&directory, &options.data_dir).map_err(|error| {
        let to = options.data_dir.display();
        CommandError::new(error)
            .because_of(format!("that upstream credentials were configured once cannot be noted in `{to}`"))
            .hinted("copy the file `had-credentials` there before the log is served")
    })?;
    Ok((made, Previous { origin: closed.origin().to_owned(), records }))
}

/// Whether both are one directory; one that is not there is none.
fn is_same(one: &Path, other: &Path) -> bool {
    match (one.canonicalize(), other.canonicalize()) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}

/// Makes the second key.
fn next_key(ui: &Ui, config: &Config) -> Result<Answer, CommandError> {
    let options = server::ledger_options(config);
    let verifier = ledger::make_next_key(&options)?;
    let (origin, verifier_key) = (verifier.name(), verifier.to_string());
    let key_file = options.next_key_file.unwrap_or_default().display().to_string();
    ui.note(format_args!(
        "made the second key of `{origin}` in `{key_file}`; from its next start on `tlogistry serve` signs with both"
    ));
    ui.note(
        "give it to clients and witnesses beside the first one; keep a copy of the file in another place",
    );
    ui.print(&verifier_key, &Second { origin, verifier_key: &verifier_key, key_file })?;
    Ok(Answer::Yes)
}
