//! `audit --evidence`: a file that somebody wrote, held against the keys that the reader trusts.
//! It must not know how a fault is shown.

use std::path::Path;

use audit::Trust;
use audit::evidence::{Evidence, MAX_EVIDENCE, Verdict, recheck};
use serde::Serialize;
use tlog::VerifierKey;

use crate::commands::stranger;
use crate::error::CommandError;
use crate::ui::{Answer, Ui};

#[derive(Serialize)]
struct Rechecked<'a> {
    log: &'a str,
    /// The keys that the evidence is signed with.
    keys: Vec<String>,
    /// Whether the reader named them as the log's.
    trusted: bool,
    why: &'a str,
    proven: bool,
}

/// Only what a trusted key proves is a yes.
pub(super) fn check(ui: &Ui, file: &Path, trust: Option<Trust>) -> Result<Answer, CommandError> {
    let evidence = Evidence::parse(&stranger::read_bytes(file, MAX_EVIDENCE)?)?;
    let trusted = trust.is_some();
    let trust = trust.map_or_else(|| by_its_own_word(&evidence), Ok)?;
    let verdict = recheck(&evidence, &trust, stranger::now())?;
    let proven = trusted && matches!(verdict, Verdict::Proven | Verdict::Contradiction);
    let keys: Vec<String> = evidence.keys().map(VerifierKey::to_string).collect();
    let why = &evidence.why;
    let text = match verdict {
        Verdict::Proven | Verdict::Contradiction if trusted => format!("{verdict}: {why}"),
        Verdict::Proven | Verdict::Contradiction => {
            format!("proven only if `{}` is the log's key: {why}", keys.join("` and `"))
        }
        Verdict::Reported(what) => format!("reported, not proven ({what}): {why}"),
    };
    let answer = if proven { Answer::Yes } else { Answer::No };
    let answer = ui.answer(answer, text, &Rechecked { log: evidence.log.name(), keys, trusted, why, proven });
    if !trusted {
        ui.note(
            "anybody can make a key of any name: give the log's with `--log-key VKEY` or `--policy FILE`",
        );
    }
    answer
}

/// Without a key of the reader's the file can still be shown to agree with itself.
fn by_its_own_word(evidence: &Evidence) -> Result<Trust, audit::Error> {
    evidence.keys().try_fold(Trust::default(), |trust, key| trust.and_key(key.clone()))
}
