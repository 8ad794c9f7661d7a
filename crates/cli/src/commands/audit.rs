//! `audit`: all of a log's history, replayed here.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use audit::cosign::{cosign, submit};
use audit::evidence::{Evidence, Verdict, recheck};
use audit::history::{AHEAD, Compared, Comparison, Settings};
use audit::{Http, Source};
use serde::Serialize;
use tlog::{KeyAlgorithm, SigningKey};

use super::stranger::{self, Trusting};
use crate::error::CommandError;
use crate::ui::{Answer, Ui};

/// Replay a log from its first leaf, and check every rule
///
/// Reads every leaf and tile of a log over HTTP or from the directory of an export, replays its rules, and compares the
/// result with what was seen before and with what others see. What the log did wrong is written down as evidence that
/// anybody can check again with `--evidence`. An audit that is cut short goes on where it was.
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
struct Rechecked {
    log: String,
    why: String,
    proven: bool,
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
        return check(ui, file);
    }
    if let (Some(name), Some(file)) = (&args.make_key, &args.cosign) {
        return make_key(ui, name, file);
    }
    let place = args.log.as_deref().unwrap_or_default();
    let log = stranger::log(place)?;
    let compare: Result<Vec<Source>, audit::Error> =
        args.compare.iter().map(|place| Source::open(place, &Http::default())).collect();
    let key = args.cosign.as_deref().map(read_key).transpose()?;
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
        let Some(key) = &key else { return Ok((audited, None)) };
        let cosignature = cosign(&audited, key, stranger::now())?;
        if args.submit {
            submit(&cosignature, &settings.log.place(""), &Http::default()).await?;
        }
        Ok((audited, Some(cosignature.line().to_string())))
    })?;
    drop(progress);
    let report = audited.report();
    let line = cosignature.as_ref().map(|line| format!("{line}\n")).unwrap_or_default();
    let done = Done { report, cosignature };
    if ui.is_json() || done.cosignature.is_some() {
        ui.answer(Answer::Yes, line.trim_end(), &done)?;
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
            Compared::Ahead { size } => {
                ui.note(format_args!(
                    "`{place}` is AHEAD: it shows {size} leaves, which could not be compared"
                ));
            }
            Compared::Nothing { why } => {
                ui.note(format_args!("`{place}` shows no checkpoint of this log: {why}"));
            }
        }
    }
    ui.note("every leaf was replayed, and the rules hold for all of history as it was served here");
    Ok(Answer::Yes)
}

fn check(ui: &Ui, file: &Path) -> Result<Answer, CommandError> {
    let bytes = std::fs::read(file)
        .map_err(|error| CommandError::new(error).because_of(format!("cannot read `{}`", file.display())))?;
    let evidence = Evidence::parse(&bytes)?;
    let verdict = recheck(&evidence, stranger::now())?;
    let proven = verdict == Verdict::Proven;
    let rechecked = Rechecked { log: evidence.log.name().to_owned(), why: evidence.why.clone(), proven };
    let text = match verdict {
        Verdict::Proven => format!("proven by the log's own signatures: {}", evidence.why),
        Verdict::Reported(why) => format!("reported, not proven ({why}): {}", evidence.why),
    };
    ui.answer(Answer::Yes, text, &rechecked)
}

fn make_key(ui: &Ui, name: &str, file: &Path) -> Result<Answer, CommandError> {
    let seed = seed()?;
    let key = SigningKey::from_seed(name, KeyAlgorithm::CosignatureV1, &seed).map_err(|error| {
        CommandError::new(error).hinted("a name is like `auditor.example/x`: printable, no space, no `+`")
    })?;
    write_key(file, &key)?;
    let verifier = key.verifier().to_string();
    ui.print(&verifier, &serde_json::json!({ "verifier_key": verifier }))?;
    ui.note(format_args!("made the key of an auditor in `{}`; keep it to yourself", file.display()));
    ui.note(format_args!("publish with it what it states:\n  {}", audit::cosign::STATEMENT));
    Ok(Answer::Yes)
}

fn read_key(file: &Path) -> Result<SigningKey, CommandError> {
    let text = stranger::read(file)?;
    SigningKey::from_private_form(text.trim_end()).map_err(|_what_it_holds_is_secret| {
        CommandError::new(anyhow::anyhow!("`{}` does not hold a key (`PRIVATE+KEY+…`)", file.display()))
            .hinted("`tlogistry audit --make-key NAME --cosign FILE` makes one")
    })
}

/// Random bytes for a key.
fn seed() -> Result<[u8; 32], CommandError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)
        .map_err(|error| CommandError::new(error).because_of("the operating system gave no random bytes"))?;
    Ok(seed)
}

/// Writes a new key file, mode 0600.
fn write_key(file: &Path, key: &SigningKey) -> Result<(), CommandError> {
    let written = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
        writeln!(file, "{}", key.to_private_form())?;
        file.sync_all()
    };
    written().map_err(|error: std::io::Error| {
        let error = CommandError::new(error).because_of(format!("cannot write the key `{}`", file.display()));
        error.hinted("a key is never overwritten; name a new file where this user may write")
    })
}
