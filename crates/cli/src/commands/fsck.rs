//! `fsck`: everything in a data directory, checked.

use ledger::{OpenError, Stage};
use serde::Serialize;

use super::require_log;
use crate::args::Configuration;
use crate::error::CommandError;
use crate::ui::{Answer, Ui};

/// Check everything in a data directory
///
/// Reads every leaf, tile, tag and manifest, replays the rules of the log, and compares the result with head,
/// signature, rollback guard and key. Prints what is wrong, one finding a line, and exits with 1 if anything is.
/// The server has to be stopped meanwhile; nothing is changed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    configuration: Configuration,
}

#[derive(Serialize)]
struct Checked {
    sound: bool,
    leaves: u64,
    tags: u64,
    manifests: u64,
    findings: Vec<String>,
    unlisted: u64,
}

pub(crate) fn run(ui: &Ui, args: Args) -> Result<Answer, CommandError> {
    let config = args.configuration.load()?;
    let options = server::ledger_options(&config);
    require_log(&options)?;
    let mut progress = ui.progress();
    let report = ledger::fsck(&options, |at| {
        let what = match at.stage {
            Stage::Pages => "pages of the database",
            Stage::Leaves => "leaves",
            Stage::Tags => "tags",
            Stage::Manifests => "manifests",
        };
        progress.at(what, at.done, at.total);
    });
    drop(progress);
    let report = report.map_err(|error| match error {
        // What it says of `fsck` is no help to whoever has just run it.
        OpenError::Store(error) => CommandError::new(error).because_of("the database cannot be read at all").hinted(
            "put the newest `tlogistry backup` in its place; the rollback guard knows whether any record is missing from it",
        ),
        other => other.into(),
    })?;
    let sound = report.is_sound();
    let checked = Checked {
        sound,
        leaves: report.leaves,
        tags: report.tags,
        manifests: report.manifests,
        findings: report.findings.iter().map(ToString::to_string).collect(),
        unlisted: report.unlisted,
    };
    let answer = if sound { Answer::Yes } else { Answer::No };
    if ui.is_json() || !sound {
        ui.answer(answer, checked.findings.join("\n"), &checked)?;
    }
    let counts =
        format!("leaves: {}, tags: {}, manifests: {}", checked.leaves, checked.tags, checked.manifests);
    let directory = config.data_dir.display();
    if sound {
        ui.note(format_args!("`{directory}` is sound ({counts})"));
    } else {
        let findings = report.unlisted.saturating_add(checked.findings.len() as u64);
        ui.note(format_args!("`{directory}` is NOT sound ({counts}, findings: {findings})"));
    }
    Ok(answer)
}
