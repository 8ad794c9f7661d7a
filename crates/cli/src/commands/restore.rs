//! `restore`: a data directory rebuilt from a copy of its log.

use std::path::Path;

use audit::Tree;
use audit::history::AHEAD;
use ledger::{ExportError, LostGuard, Options, RestoreError, Restored, SourceError};
use serde::Serialize;
use server::config::LogFormat;
use tlog::SignedCheckpoint;

use super::stranger;
use crate::args::Configuration;
use crate::error::{CommandError, Kind};
use crate::ui::{Answer, Progress, Ui};

/// Rebuild a data directory from a copy of its log
///
/// Replays every leaf of the copy, checks that they are the ones which the log signed, and writes the database. The log key
/// has to be there, and the rollback guard, the only thing here that knows whether a copy is the newest: one that is older
/// is refused, since a log restored from it would have two histories. Nothing is ever overwritten.
///
/// Manifests are in no copy; each comes back with the next pull of its tag.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// The directory of an export, or the URL of a mirror, of the log or of the service
    #[arg(long, value_name = "EXPORT|URL")]
    from: String,
    /// Make a new rollback guard, as the old one is lost or damaged for good, and take any copy; first ask everybody who
    /// keeps checkpoints of the log whether this one is the newest
    #[arg(long)]
    guard_lost: bool,
    #[command(flatten)]
    configuration: Configuration,
}

const EXAMPLES: &str = "\
Examples:
  tlogistry restore --from /backups/export
  tlogistry restore --from https://mirror.example/log
  tlogistry restore --from /backups/export --guard-lost";

#[derive(Serialize)]
struct Rebuilt<'a> {
    origin: &'a str,
    verifier_key: &'a str,
    data_dir: String,
    size: u64,
    tags: u64,
    guarded: bool,
}

pub(crate) fn run(ui: &Ui, args: Args) -> Result<Answer, CommandError> {
    let config = args.configuration.load()?;
    server::telemetry::log::install(LogFormat::Text, ui.verbosity().saturating_sub(1));
    let options = server::ledger_options(&config);
    let mut progress = ui.progress();
    let lost = if args.guard_lost { LostGuard::Replace } else { LostGuard::Refuse };
    let restored = if args.from.contains("://") {
        from_url(&options, lost, &args.from, &mut progress)
    } else {
        from_directory(&options, lost, Path::new(&args.from), &mut progress)
    };
    drop(progress);
    let Restored { verifier, size, tags, unguarded } = restored?;
    let (origin, verifier_key) = (verifier.name(), verifier.to_string());
    let data_dir = options.data_dir.display().to_string();
    ui.note(format_args!("restored the log `{origin}` in `{data_dir}`: {size} leaves, {tags} tags"));
    ui.note("its manifests were in no copy: each comes back with the next pull of its tag, as long as upstream has it");
    if unguarded {
        ui.note(
            "its rollback guard was LOST, and nothing here knows whether this copy is the newest: ask the log's witnesses, auditors and mirrors before it signs anything",
        );
        ui.note(format_args!("`tlogistry audit {} --compare URL` asks one of them", args.from));
    } else {
        ui.note(
            "its rollback guard knows of no leaf that the copy lacks; ask the log's witnesses all the same, if the guard is a copy itself",
        );
    }
    if options.publication.witnesses.is_some() {
        ui.note("`tlogistry serve` asks the witnesses of the configuration when it starts: heed what it says of them");
    }
    let value = Rebuilt { origin, verifier_key: &verifier_key, data_dir, size, tags, guarded: !unguarded };
    ui.print(&verifier_key, &value)?;
    Ok(Answer::Yes)
}

fn from_directory(
    options: &Options,
    lost: LostGuard,
    directory: &Path,
    progress: &mut Progress,
) -> Result<Restored, CommandError> {
    let checkpoint = ledger::exported_checkpoint(directory).map_err(no_export)?;
    let size = parsed(&checkpoint)?.checkpoint().size;
    restore(options, lost, &checkpoint, ledger::exported_leaves(directory, size), progress)
}

/// Bundle by bundle, a few of them fetched ahead.
fn from_url(
    options: &Options,
    lost: LostGuard,
    url: &str,
    progress: &mut Progress,
) -> Result<Restored, CommandError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.map_err(|error| CommandError::new(error).because_of("cannot wait for anything"))?;
    let source = stranger::log(url)?;
    let opened: Result<Tree, audit::Error> =
        runtime.block_on(async { Tree::open(&source, None, &source.checkpoint().await?).await });
    let mut tree = opened.map_err(|error| CommandError { kind: Kind::CouldNotRun, ..error.into() })?;
    let checkpoint = tree.signed().note().to_string();
    let mut bundles = tree.all(AHEAD);
    let leaves = std::iter::from_fn(|| runtime.block_on(bundles.next()).transpose());
    let leaves = leaves.flat_map(|bundle| match bundle {
        Ok(bundle) => bundle.leaves().map(|(_, leaf)| Ok(leaf.to_vec())).collect(),
        Err(error) => vec![Err(SourceError::from(error))],
    });
    restore(options, lost, &checkpoint, leaves, progress)
}

fn restore(
    options: &Options,
    lost: LostGuard,
    checkpoint: &str,
    leaves: impl Iterator<Item = Result<Vec<u8>, SourceError>>,
    progress: &mut Progress,
) -> Result<Restored, CommandError> {
    let at = |done, total| progress.at("leaves", done, total);
    ledger::restore(options, lost, checkpoint, leaves, at).map_err(hinted)
}

fn parsed(checkpoint: &str) -> Result<SignedCheckpoint, CommandError> {
    checkpoint.parse().map_err(|error| hinted(RestoreError::Checkpoint(error)))
}

fn no_export(error: ExportError) -> CommandError {
    CommandError::new(error).hinted(
        "name a directory that `tlogistry export` wrote, or the URL of a mirror, such as `https://mirror.example/log`",
    )
}

fn hinted(error: RestoreError) -> CommandError {
    let hint = match &error {
        RestoreError::KeyMissing { .. } => {
            Some("put the copy of the key back there, or name it with `[log] key_file`")
        }
        RestoreError::Unguarded(_) => Some(
            "put it (or its volume) back; if it is lost for good, ask the log's witnesses, auditors and mirrors whether the copy is the newest (`tlogistry audit EXPORT|URL --compare URL`), then add `--guard-lost`",
        ),
        RestoreError::Checkpoint(_) => Some("is the key that of this very log, and the copy one of it?"),
        RestoreError::Source { .. } => Some("the same command begins anew; another copy may be whole"),
        RestoreError::Short { .. } | RestoreError::Rule(_) | RestoreError::Root { .. } => {
            Some("somebody or something has changed the copy; find another one")
        }
        RestoreError::File { .. } => Some("choose a place that this user may write to with `--data-dir DIR`"),
        // The message ends with the way out.
        _ => None,
    };
    CommandError::new(error).hinted_if(hint)
}
