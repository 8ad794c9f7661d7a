//! `supersede`: an operator's public re-pin of a frozen tag.

use audit::rfc3339;
use oci::{Sha256Digest, TagName};
use serde::Serialize;
use server::admin::{self, Outcome};
use server::config::Config;

use crate::args::Configuration;
use crate::error::CommandError;
use crate::ui::{Answer, Ui};
use crate::values;

/// Give a frozen tag a new digest, in public and for ever
///
/// The log keeps both digests, the time and the reason. The new manifest is fetched and hashed first. Works through
/// the running server, else on the data directory; a log that was made with `supersede = "never"` refuses.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The tag, as for `docker pull`
    #[arg(value_name = "REF", value_parser = values::tag)]
    tag: TagName,
    /// What it shall mean from now on: `sha256:` and 64 hexadecimal digits
    #[arg(value_name = "DIGEST", value_parser = values::digest)]
    digest: Sha256Digest,
    /// Why; everybody can read it in the log
    #[arg(long, value_name = "TEXT", value_parser = values::reason)]
    reason: taglog::Reason,
    #[command(flatten)]
    configuration: Configuration,
}

/// One leaf that an operator caused.
#[derive(Serialize)]
struct Recorded {
    reference: String,
    kind: String,
    index: u64,
    time: u64,
    old: String,
    new: String,
}

pub(crate) fn run(ui: &Ui, args: Args) -> Result<Answer, CommandError> {
    let config = args.configuration.load()?;
    let Args { tag, digest, reason, .. } = args;
    let command = admin::Command::Supersede { tag: tag.clone(), digest, reason };
    record(ui, &config, &tag, command)
}

/// Has the leaf written, and prints it.
pub(super) fn record(
    ui: &Ui,
    config: &Config,
    tag: &TagName,
    command: admin::Command,
) -> Result<Answer, CommandError> {
    server::telemetry::log::install(server::config::LogFormat::Text, ui.verbosity().saturating_sub(1));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| CommandError::new(error).because_of("cannot wait for anything"))?;
    let Outcome { kind, index, time, old, new } = runtime.block_on(admin::run(config, command))?;
    let was = if old == new { "still" } else { "was  " };
    let mut text = format!("leaf {index} at {}: {kind} {tag}\n  {was} {old}\n", rfc3339(time));
    if old != new {
        text.push_str(&format!("  now   {new}\n"));
    }
    ui.print(text, &Recorded { reference: tag.to_string(), kind, index, time, old, new })?;
    Ok(Answer::Yes)
}
