//! `proof`: saves what a log proves of a tag.

use std::path::PathBuf;

use audit::{Http, Source, Trust};
use oci::TagName;
use serde::Serialize;

use super::stranger;
use crate::error::CommandError;
use crate::ui::{Answer, Ui};
use crate::values;

/// Bytes of a proof, at most.
const MAX_PROOF: usize = 4 << 20;

/// Save the proof of what a log says of a tag
///
/// `tlogistry verify --proof FILE` checks it later, without network. With `--log-key` it is checked before it is saved.
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
    /// A verifier key of the log, to check the proof with
    #[arg(long = "log-key", value_name = "VKEY", env = "TLOGISTRY_LOG_KEY", value_parser = values::log_key)]
    key: Option<tlog::VerifierKey>,
}

#[derive(Serialize)]
struct Saved {
    reference: String,
    proof: String,
    checked: bool,
}

pub(crate) fn run(ui: &Ui, args: Args) -> Result<Answer, CommandError> {
    let Args { tag, server, out, key } = args;
    let path = format!("proof/{tag}");
    let source = Source::open(server.as_str(), &Http::default())?;
    let proof = stranger::wait(async { Ok(source.text(&path, MAX_PROOF).await?) })?;
    if let Some(key) = &key {
        // Whoever asks for a check wants the key to be one of a log.
        Trust::of_key(key.clone())?;
        taglog::verify(&proof, &tag, key).map_err(|error| {
            CommandError::no(error).because_of(format!("the proof of `{tag}` does not hold and is not saved"))
        })?;
    }
    let checked = key.is_some();
    match out {
        None if ui.is_json() => ui.print("", &Saved { reference: tag.to_string(), proof, checked })?,
        None => ui.print_text(&proof)?,
        Some(file) => {
            std::fs::write(&file, &proof).map_err(|error| {
                CommandError::new(error).because_of(format!("cannot write `{}`", file.display()))
            })?;
            let how = if checked { "checked" } else { "not checked: no `--log-key`" };
            ui.note(format_args!("saved the proof of `{tag}` to `{}` ({how})", file.display()));
        }
    }
    Ok(Answer::Yes)
}
