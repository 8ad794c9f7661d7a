//! `policy test`: which rule decides about a tag, and why.

use oci::TagName;
use serde::Serialize;
use server::policy::{Action, Decision, OnMove, Reason};

use crate::args::{self, Configuration};
use crate::error::CommandError;
use crate::ui::{Answer, Ui};

/// Try the rules that decide about tags
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Test(Args),
}

/// Tell which rule decides about a tag
///
/// Asks the configuration alone. A tag that the log holds as frozen stays frozen whatever the policy says later.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The tag, as for `docker pull`
    #[arg(value_name = "REF", value_parser = args::tag)]
    tag: TagName,
    #[command(flatten)]
    configuration: Configuration,
}

#[derive(Serialize)]
struct Decided {
    reference: String,
    action: String,
    /// Only a frozen tag can be refused because it moved.
    #[serde(skip_serializing_if = "Option::is_none")]
    on_move: Option<String>,
    decided_by: DecidedBy,
}

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum DecidedBy {
    Rule {
        number: usize,
        #[serde(rename = "match")]
        pattern: String,
    },
    ProtocolTag,
    Default,
}

pub(super) fn run(ui: &Ui, command: Command) -> Result<Answer, CommandError> {
    let Command::Test(Args { tag, configuration }) = command;
    let decision = configuration.load()?.policy.decide(&tag.name, &tag.tag);
    let Decision { action, on_move, reason } = decision;
    let mut text = format!("tag      {tag}\naction   {action}: {}\n", meaning(action));
    if action == Action::Freeze {
        text.push_str(&format!("on move  {on_move}: {}\n", consequence(on_move)));
    }
    text.push_str(&format!("because  {reason}\n"));
    let decided = Decided {
        reference: tag.to_string(),
        action: action.to_string(),
        on_move: (action == Action::Freeze).then(|| on_move.to_string()),
        decided_by: match reason {
            Reason::Rule { number, pattern } => DecidedBy::Rule { number, pattern },
            Reason::ProtocolTag => DecidedBy::ProtocolTag,
            Reason::Default => DecidedBy::Default,
        },
    };
    ui.print(text, &decided)?;
    Ok(Answer::Yes)
}

fn meaning(action: Action) -> &'static str {
    match action {
        Action::Freeze => "the first digest that is pulled is recorded and stays what the tag means",
        Action::Observe => "upstream may move it, and every digest is recorded before it is served",
        Action::Pass => "served as upstream has it, neither recorded nor checked",
        Action::Deny => "refused",
    }
}

fn consequence(on_move: OnMove) -> &'static str {
    match on_move {
        OnMove::Refuse => "a pull is refused with both digests",
        OnMove::ServeRecorded => "a pull gets the recorded manifest, with a warning",
    }
}
