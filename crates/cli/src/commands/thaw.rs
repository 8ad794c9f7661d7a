//! `thaw`: an operator's public end of freezing.

use oci::TagName;
use server::admin;

use super::supersede::record;
use crate::args::{self, Configuration};
use crate::error::CommandError;
use crate::ui::{Answer, Ui};

/// End the freezing of a tag, in public and for ever
///
/// From then on the tag is observed: upstream may move it, and every digest is recorded. The log keeps the time and the
/// reason. Works through the running server, else on the data directory; a log that was made with `supersede = "never"`
/// refuses.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The tag, as for `docker pull`
    #[arg(value_name = "REF", value_parser = args::tag)]
    tag: TagName,
    /// Why; everybody can read it in the log
    #[arg(long, value_name = "TEXT", value_parser = args::reason)]
    reason: taglog::Reason,
    #[command(flatten)]
    configuration: Configuration,
}

pub(crate) fn run(ui: &Ui, args: Args) -> Result<Answer, CommandError> {
    let config = args.configuration.load()?;
    let command = admin::Command::Thaw { tag: args.tag.clone(), reason: args.reason };
    record(ui, &config, &args.tag, command)
}
