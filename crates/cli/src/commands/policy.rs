//! `policy test`: which rule decides about a tag, and why.

use oci::TagName;
use serde::Serialize;
use server::config::Span;
use server::policy::{Action, Decision, OnGone, OnMove, OnYoung, Reason};

use crate::args::Configuration;
use crate::error::CommandError;
use crate::ui::{Answer, Ui};
use crate::values;

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
    #[arg(value_name = "REF", value_parser = values::tag)]
    tag: TagName,
    #[command(flatten)]
    configuration: Configuration,
}

#[derive(Serialize)]
struct Decided {
    reference: String,
    action: String,
    /// `dry-run`: what would be refused is told and served.
    mode: String,
    /// Only a frozen tag can be refused because it moved.
    #[serde(skip_serializing_if = "Option::is_none")]
    on_move: Option<String>,
    /// Only what is recorded can be served once it is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    on_gone: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_age_seconds: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    on_young: Option<String>,
    decided_by: DecidedBy,
    /// Whether what has no tag (digests, blobs, lists) is refused because the rules are too tangled.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    digests_undecided: bool,
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
    let policy = configuration.load()?.policy;
    let decision = policy.decide(&tag.name, &tag.tag);
    let digests_undecided = policy.is_undecided_about(&tag.name);
    let mut text = told(&tag, &decision);
    if digests_undecided {
        text.push_str("digests  refused: the rules are too tangled to tell whether they deny every tag of this repository\n");
    }
    let decided = Decided { digests_undecided, ..decided(&tag, decision) };
    ui.print(text, &decided)?;
    Ok(Answer::Yes)
}

fn told(tag: &TagName, decision: &Decision) -> String {
    let Decision { action, on_move, on_gone, min_age, on_young, .. } = decision;
    let mut text = format!("tag      {tag}\naction   {action}: {}\n", meaning(*action));
    if *action == Action::Freeze {
        text.push_str(&format!("on move  {on_move}: {}\n", if_moved(*on_move)));
    }
    if is_recorded(*action) {
        text.push_str(&format!("on gone  {on_gone}: {}\n", if_gone(*on_gone)));
    }
    if let Some(min_age) = min_age {
        text.push_str(&format!("min age  {}, {on_young}: {}\n", Span(*min_age), if_young(*on_young)));
    }
    if decision.is_dry_run() && *action != Action::Pass {
        text.push_str(
            "mode     dry-run: what would be refused is logged, counted and served with a warning\n",
        );
    }
    text.push_str(&format!("because  {}\n", decision.reason));
    text
}

fn decided(tag: &TagName, decision: Decision) -> Decided {
    let Decision { action, on_move, on_gone, mode, min_age, on_young, reason } = decision;
    Decided {
        reference: tag.to_string(),
        action: action.to_string(),
        mode: mode.to_string(),
        on_move: (action == Action::Freeze).then(|| on_move.to_string()),
        on_gone: is_recorded(action).then(|| on_gone.to_string()),
        min_age_seconds: min_age.map(|span| span.as_secs()),
        on_young: min_age.map(|_| on_young.to_string()),
        decided_by: match reason {
            Reason::Rule { number, pattern } => DecidedBy::Rule { number, pattern },
            Reason::ProtocolTag => DecidedBy::ProtocolTag,
            Reason::Default => DecidedBy::Default,
        },
        digests_undecided: false,
    }
}

fn is_recorded(action: Action) -> bool {
    matches!(action, Action::Freeze | Action::Observe | Action::Follow)
}

fn meaning(action: Action) -> &'static str {
    match action {
        Action::Freeze => "the first digest that is pulled is recorded and stays what the tag means",
        Action::Observe => {
            "upstream may move it; every digest is recorded before it is served, a new one with a warning"
        }
        Action::Follow => "upstream may move it; every digest is recorded before it is served",
        Action::Pass => "served as upstream has it, neither recorded nor checked",
        Action::Deny => "refused",
    }
}

fn if_moved(on_move: OnMove) -> &'static str {
    match on_move {
        OnMove::Refuse => "a pull is refused with both digests",
        OnMove::ServeRecorded => "a pull gets the recorded manifest, with a warning",
    }
}

fn if_gone(on_gone: OnGone) -> &'static str {
    match on_gone {
        OnGone::Refuse => "a pull is answered with 404 and the record",
        OnGone::Serve => "a pull gets the recorded manifest, with a warning",
    }
}

fn if_young(on_young: OnYoung) -> &'static str {
    match on_young {
        OnYoung::Refuse => "a digest that the log knows for less is refused",
        OnYoung::ServeOld => "a pull gets the newest digest that the log knows for longer, with a warning",
    }
}
