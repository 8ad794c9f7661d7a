//! `restore`: a data directory rebuilt from a copy of the log.

use std::path::Path;
use std::sync::mpsc::{SyncSender, sync_channel};

use audit::Source;
use ledger::SourceError;
use serde::Serialize;
use tlog::{EntriesId, decode_entries, tiles_of_size};

use super::stranger;
use crate::args::Configuration;
use crate::error::CommandError;
use crate::ui::{Answer, Ui};

/// Bundles read ahead.
const AHEAD: usize = 4;

/// Rebuild a data directory from a copy of the log
///
/// Reads every leaf of an export, or of a log that is served somewhere, replays all rules, and compares the result with
/// the copy's checkpoint and with the rollback guard. The log's key has to be in its place; a database that is there is
/// never overwritten. Manifests are not in the log: they come back as tags are pulled, each hashed against its record.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The directory of an export, or the URL of a service or of the log
    #[arg(long, value_name = "EXPORT|URL")]
    from: String,
    #[command(flatten)]
    configuration: Configuration,
}

#[derive(Serialize)]
struct Rebuilt {
    verifier_key: String,
    size: u64,
    tags: u64,
}

type Leaf = Result<Vec<u8>, SourceError>;

pub(crate) fn run(ui: &Ui, args: Args) -> Result<Answer, CommandError> {
    let config = args.configuration.load()?;
    let options = server::ledger_options(&config);
    let from = args.from.as_str();
    let mut progress = ui.progress();
    let mut at = |done, total| progress.at("leaves", done, total);
    let restored = if from.contains("://") {
        let log = stranger::log(from)?;
        let checkpoint = stranger::wait(async { Ok(log.checkpoint().await?) })?;
        let leaves = fetched(from, checkpoint.checkpoint().size);
        ledger::restore(&options, &checkpoint.to_string(), leaves, &mut at)
    } else {
        let directory = Path::new(from);
        let checkpoint = ledger::exported_checkpoint(directory).map_err(CommandError::new)?;
        let signed: tlog::SignedCheckpoint = checkpoint.parse().map_err(|error: tlog::Error| {
            CommandError::new(error).because_of(format!("`{from}` is no export"))
        })?;
        let leaves = ledger::exported_leaves(directory, signed.checkpoint().size);
        ledger::restore(&options, &checkpoint, leaves, &mut at)
    };
    drop(progress);
    let restored = restored.map_err(CommandError::new)?;
    let verifier_key = restored.verifier.to_string();
    ui.print(
        &verifier_key,
        &Rebuilt { verifier_key: verifier_key.clone(), size: restored.size, tags: restored.tags },
    )?;
    ui.note(format_args!(
        "rebuilt `{}`: {} leaves, {} tags, every rule replayed",
        options.data_dir.display(),
        restored.size,
        restored.tags
    ));
    if restored.unguarded {
        ui.note("no guard was there: nothing here vouches that the copy is the newest; compare it with what an auditor has");
    }
    ui.note("manifests come back as tags are pulled; if the log has witnesses, they are asked before anything is signed");
    Ok(Answer::Yes)
}

/// The leaves of a served log, fetched on a thread of its own while they are replayed.
fn fetched(place: &str, size: u64) -> impl Iterator<Item = Leaf> + use<> {
    let (sender, receiver) = sync_channel::<Result<Vec<Vec<u8>>, SourceError>>(AHEAD);
    let place = place.to_owned();
    std::thread::spawn(move || {
        let fetched = stranger::wait(async {
            let log = stranger::log(&place)?;
            fetch(&log, size, &sender).await;
            Ok(())
        });
        if let Err(error) = fetched {
            // Nobody reads any more where this fails.
            let _unread = sender.send(Err(error.error.into()));
        }
    });
    receiver.into_iter().flat_map(|bundle| match bundle {
        Ok(leaves) => leaves.into_iter().map(Ok).collect::<Vec<Leaf>>(),
        Err(error) => vec![Err(error)],
    })
}

async fn fetch(log: &Source, size: u64, sender: &SyncSender<Result<Vec<Vec<u8>>, SourceError>>) {
    for tile in tiles_of_size(size).filter(|tile| tile.level == 0) {
        let id = EntriesId { index: tile.index, width: tile.width };
        let bundle = match log.entries(id).await {
            Ok(bytes) => match decode_entries(&bytes, id.width) {
                Ok(leaves) => Ok(leaves.into_iter().map(<[u8]>::to_vec).collect()),
                Err(error) => Err(error.into()),
            },
            Err(error) => Err(error.into()),
        };
        let ended = bundle.is_err();
        if sender.send(bundle).is_err() || ended {
            return;
        }
    }
}
