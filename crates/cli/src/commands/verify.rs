//! `verify`: what a log's map says of one tag, checked here.

use std::path::PathBuf;
use std::time::Duration;

use audit::verify::{Proof, Settings};
use audit::{Http, Source};
use oci::Reference;

use super::stranger::{self, Trusting};
use crate::error::CommandError;
use crate::ui::{Answer, Ui};
use crate::values;

/// Check what a log says of a tag, and print the digest
///
/// Fetches a proof, or reads a saved one, and checks it against the log's key on this machine. Prints the digest alone
/// on standard output, and everything else about it on standard error, so that
/// `docker pull NAME@$(tlogistry verify NAME:TAG)` pulls what was checked.
///
/// A proof shows what the log's map says at one size. That the tag never had another digest is what auditors replay:
/// without a policy that counts them the answer says "history not audited".
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The tag, as for `docker pull`; with `@DIGEST` the answer is no where it means another one
    #[arg(value_name = "REF[@DIGEST]", value_parser = values::tag_reference)]
    reference: Reference,
    #[command(flatten)]
    from: From,
    #[command(flatten)]
    trusting: Trusting,
    /// How old the newest sufficient cosignature may be, such as `1h` or `3d`
    #[arg(long, value_name = "SPAN", value_parser = values::span)]
    max_age: Option<Duration>,
    /// Accept a tag that the operator re-pinned or thawed
    #[arg(long)]
    allow_superseded: bool,
    /// Accept a tag that the log only observes: it may have meant something else before
    #[arg(long)]
    allow_observed: bool,
    /// Keep no memory: the log may then show everybody another history
    #[arg(long, conflicts_with = "state_dir")]
    forget: bool,
}

/// Where the proof is from.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = true)]
pub(super) struct From {
    /// URL of the service
    #[arg(long, value_name = "URL", env = "TLOGISTRY_SERVER", value_parser = values::server)]
    server: Option<url::Url>,
    /// A saved proof; without `--server` nothing is asked of anybody
    #[arg(long, value_name = "FILE")]
    proof: Option<PathBuf>,
}

pub(crate) fn run(ui: &Ui, args: Args) -> Result<Answer, CommandError> {
    let trust = args.trusting.trust()?;
    let state = if args.forget { None } else { Some(args.trusting.state()?) };
    let settings = Settings {
        reference: args.reference,
        proof: args.from.proof()?,
        trust,
        max_age: args.max_age,
        allow_superseded: args.allow_superseded,
        allow_observed: args.allow_observed,
        state,
        now: stranger::now(),
    };
    let report = stranger::wait(async { Ok(audit::verify(&settings).await?) })?;
    let answer = if report.is_accepted() { Answer::Yes } else { Answer::No };
    if ui.is_json() {
        return ui.answer(answer, "", &report);
    }
    ui.note(report.to_string().trim_end());
    match report.digest().filter(|_| report.is_accepted()) {
        Some(digest) => ui.answer(answer, digest, &report),
        None => Ok(answer),
    }
}

impl From {
    fn proof(&self) -> Result<Proof, CommandError> {
        let server = match &self.server {
            Some(url) => Some(Source::open(url.as_str(), &Http::default())?),
            None => None,
        };
        Ok(match (&self.proof, server) {
            (Some(path), server) => {
                Proof::Saved { text: stranger::read(path)?, log: server.map(|server| server.below("log")) }
            }
            (None, Some(server)) => Proof::Server(server),
            (None, None) => return Err(audit::Error::NoKey.into()),
        })
    }
}
