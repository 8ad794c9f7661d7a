//! `proof`: saves what a log proves of a tag.

use std::path::{Path, PathBuf};

use audit::{Http, Source};
use oci::TagName;
use serde::Serialize;

use super::stranger::{self, Trusted};
use crate::error::CommandError;
use crate::ui::{Answer, Ui};
use crate::values;

/// Bytes of a proof, at most.
const MAX_PROOF: usize = 4 << 20;

/// Save the proof of what a log says of a tag
///
/// `tlogistry verify --proof FILE` checks it later, without network. With `--log-key` or `--policy` it is checked before
/// it is saved; where the policy wants more cosignatures than the newest proof has, the newest one that has them is saved.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The tag, as for `docker pull`
    #[arg(value_name = "REF", value_parser = values::tag)]
    tag: TagName,
    /// URL of the service
    #[arg(long, value_name = "URL", env = "TLOGISTRY_SERVER", value_parser = values::server)]
    server: url::Url,
    /// The file to write [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    trusted: Trusted,
}

#[derive(Serialize)]
struct Saved<'a> {
    reference: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    proof: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a Path>,
    checked: bool,
}

pub(crate) fn run(ui: &Ui, args: Args) -> Result<Answer, CommandError> {
    let Args { tag, server, out, trusted } = args;
    let source = Source::open(server.as_str(), &Http::default())?;
    let trust = trusted.known()?;
    let checked = trust.is_some();
    let proof = stranger::wait(async {
        match trust {
            Some(trust) => {
                let proof =
                    audit::proof(source, &tag, trust, stranger::now()).await.map_err(CommandError::from);
                proof.map_err(|error| error.because_of(format!("the proof of `{tag}` is not saved")))
            }
            None => Ok(source.text(&format!("proof/{tag}"), MAX_PROOF).await?),
        }
    })?;
    let Some(file) = out else {
        if ui.is_json() {
            let saved = Saved { reference: tag.to_string(), proof: Some(&proof), file: None, checked };
            ui.print("", &saved)?;
        } else {
            ui.print_text(&proof)?;
        }
        return Ok(Answer::Yes);
    };
    std::fs::write(&file, &proof)
        .map_err(|error| CommandError::new(error).because_of(format!("cannot write `{}`", file.display())))?;
    if ui.is_json() {
        let saved = Saved { reference: tag.to_string(), proof: None, file: Some(&file), checked };
        ui.print("", &saved)?;
    }
    let how = if checked { "checked" } else { "not checked: no `--log-key`" };
    ui.note(format_args!("saved the proof of `{tag}` to `{}` ({how})", file.display()));
    Ok(Answer::Yes)
}
