//! `audit`: all of a log's history, replayed here.

mod evidence;
mod key;

use std::path::PathBuf;

use audit::cosign::{cosign, submit};
use audit::history::{AHEAD, Compared, Comparison, Settings};
use audit::{Http, Source};
use serde::Serialize;

use super::stranger::{self, Trusting};
use crate::error::CommandError;
use crate::ui::{Answer, Ui};

/// Replay a log from its first leaf, and check every rule
///
/// Reads every leaf and tile of a log over HTTP or from the directory of an export, replays its rules, and compares the
/// result with what was seen before and with what others see. What the log did wrong is written down as evidence that
/// anybody can check again with `--evidence`. An audit that is cut short goes on where it was.
///
/// Each place of `--compare` has to be compared, or there is no answer and no cosignature. A larger tree that is shown
/// there and can be read nowhere is kept, and asked for in each later audit.
///
/// With `--cosign` the audited checkpoint is cosigned by an auditor's key, which states that the rules hold for all of
/// history.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// URL of the service or of the log, or the directory of an export
    #[arg(value_name = "URL|DIR", required_unless_present_any = ["evidence", "make_key"])]
    log: Option<String>,
    #[command(flatten)]
    trusting: Trusting,
    /// Another place that keeps checkpoints of this log: an auditor, a witness, a mirror; may be repeated
    #[arg(long, value_name = "URL")]
    compare: Vec<String>,
    /// Cosign with the key in this file, and print the signature line
    #[arg(long, value_name = "KEYFILE")]
    cosign: Option<PathBuf>,
    /// Send the cosignature to the log
    #[arg(long, requires = "cosign")]
    submit: bool,
    /// Check the evidence in this file instead, without network
    #[arg(long, value_name = "FILE", conflicts_with_all = ["log", "cosign", "make_key"])]
    evidence: Option<PathBuf>,
    /// Make an auditor's key of this name in the file of `--cosign` instead, and print its verifier key
    #[arg(long, value_name = "NAME", requires = "cosign", conflicts_with = "log")]
    make_key: Option<String>,
}

#[derive(Serialize)]
struct Done<'a> {
    #[serde(flatten)]
    report: &'a audit::history::Report,
    #[serde(skip_serializing_if = "Option::is_none")]
    cosignature: Option<String>,
}

pub(crate) fn run(ui: &Ui, args: &Args) -> Result<Answer, CommandError> {
    if let Some(file) = &args.evidence {
        return evidence::check(ui, file, args.trusting.trusted.known()?);
    }
    if let (Some(name), Some(file)) = (&args.make_key, &args.cosign) {
        return key::make(ui, name, file);
    }
    let place = args.log.as_deref().unwrap_or_default();
    let log = stranger::log(place)?;
    let compare: Result<Vec<Source>, audit::Error> =
        args.compare.iter().map(|place| Source::open(place, &Http::default())).collect();
    let key = args.cosign.as_deref().map(key::read).transpose()?;
    let state = args.trusting.state()?;
    let settings = Settings {
        log,
        trust: args.trusting.trust()?,
        copy: Some(state.join("copies")),
        state,
        compare: compare?,
        ahead: AHEAD,
        now: stranger::now(),
    };
    let mut progress = ui.progress();
    let (audited, cosignature) = stranger::wait(async {
        let audited = audit::audit(&settings, |at| progress.at("leaves", at.done, at.total)).await?;
        let compared = audited.report().require_compared();
        let Some(key) = key.as_ref().filter(|_| compared.is_ok()) else { return Ok((audited, None)) };
        let cosignature = cosign(&audited, key, stranger::now())?;
        Ok((audited, Some(cosignature)))
    })?;
    drop(progress);
    let report = audited.report();
    let line = cosignature.as_ref().map(|cosignature| cosignature.line().to_string());
    if ui.is_json() || line.is_some() {
        let text = line.clone().unwrap_or_default();
        ui.answer(Answer::Yes, &text, &Done { report, cosignature: line })?;
    }
    ui.note(format_args!(
        "`{}` is sound: {} leaves, {} tags, root {}",
        report.log, report.size, report.tags, report.root
    ));
    for Comparison { place, outcome } in &report.compared {
        match outcome {
            Compared::Agrees { size } => {
                ui.note(format_args!("`{place}` shows the same history, {size} leaves of it"))
            }
            Compared::Continues { size } => {
                ui.note(format_args!("`{place}` is AHEAD: it shows {size} leaves, and they continue these"))
            }
            Compared::Ahead { size } => {
                ui.note(format_args!(
                    "`{place}` is AHEAD: it shows {size} leaves, which could not be compared"
                ));
            }
            Compared::Nothing { why } => ui.note(format_args!("`{place}` could not be compared: {why}")),
        }
    }
    ui.note("every leaf was replayed, and the rules hold for all of history as it was served here");
    report.require_compared()?;
    // Last, so that a log that refuses it takes nothing of the above away.
    if let Some(cosignature) = cosignature.filter(|_| args.submit) {
        let log = settings.log.place("");
        stranger::wait(async { Ok(submit(&cosignature, &log, &Http::default()).await?) })?;
        ui.note(format_args!("`{log}` has taken the cosignature"));
    }
    Ok(Answer::Yes)
}
