//! The page of a tag: what is recorded, what upstream says now, what to do, and the evidence.
//!
//! Chooses words; all facts come in a [`TagView`].

use askama::Template;
use oci::Reference;

use super::host::server_url;
use super::text::{readable_time, thousands};

/// What the page says of a tag.
#[derive(Clone, Debug)]
pub(crate) struct TagView {
    /// `host[:port]` for commands.
    pub(crate) host: String,
    /// Whether that is plain http beyond this machine.
    pub(crate) insecure_http: bool,
    /// Canonical `<registry>/<repository>:<tag>`.
    pub(crate) reference: String,
    /// As people write it.
    pub(crate) short: String,
    /// Where the proof is.
    pub(crate) proof_path: String,
    /// What the log makes of it.
    pub(crate) state: TagState,
    /// The current record.
    pub(crate) current: Option<CurrentView>,
    /// All leaves of this tag, oldest first.
    pub(crate) history: Vec<HistoryView>,
    /// What upstream says now.
    pub(crate) upstream: UpstreamView,
    /// The log's name.
    pub(crate) log_origin: String,
    /// Leaves in the published log.
    pub(crate) log_size: u64,
    /// `freeze`, `observe`, `follow`, `pass` or `deny`.
    pub(crate) policy_action: String,
}

/// What a tag is to the log.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum TagState {
    /// Means its first digest, or the one that an operator put in its place.
    Frozen,
    /// Every digest is recorded.
    Observed,
    /// Was frozen; an operator ended that in public.
    Thawed,
    /// No leaf.
    NeverRecorded,
}

/// The leaf that says what the tag means now.
#[derive(Clone, Debug)]
pub(crate) struct CurrentView {
    /// `sha256:…`
    pub(crate) digest: String,
    /// `tag`, `seen`, `supersede` or `thaw`.
    pub(crate) leaf_kind: String,
    /// Its place in the log.
    pub(crate) index: u64,
    /// RFC 3339.
    pub(crate) time: String,
    /// Of the manifest; empty where the leaf does not say it.
    pub(crate) media_type: String,
    /// Bytes of the manifest, where the leaf says them.
    pub(crate) size: Option<u64>,
}

/// One leaf of the tag.
#[derive(Clone, Debug)]
pub(crate) struct HistoryView {
    /// The leaf's kind.
    pub(crate) kind: String,
    /// Its place in the log.
    pub(crate) index: u64,
    /// RFC 3339.
    pub(crate) time: String,
    /// What the tag means by this leaf.
    pub(crate) digest: Option<String>,
    /// `moved`: what upstream served; `supersede`: what the tag meant before.
    pub(crate) other_digest: Option<String>,
    /// In the operator's words.
    pub(crate) reason: Option<String>,
}

/// What upstream says while the page is made.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum UpstreamView {
    /// The recorded digest.
    Same,
    /// Another one.
    Moved {
        /// `sha256:…`
        digest: String,
    },
    /// No such tag, or not for us.
    Gone,
    /// No answer to go by.
    Unreachable {
        /// In a few words.
        why: String,
    },
    /// Nothing is recorded that it could be compared with.
    NotAsked,
}

#[derive(Template)]
#[template(path = "tag.html")]
struct TagPage<'a> {
    view: &'a TagView,
    /// As people write it, and certain to mean this very tag.
    short: &'a str,
    server: String,
    /// `host/name:tag`, where a command can name the tag in one path.
    pull: Option<String>,
    /// The same by the recorded digest.
    pull_recorded: Option<String>,
    log_size: String,
}

/// `GET /t/<reference>`
pub(crate) fn tag(view: &TagView) -> String {
    // A repository on Docker Hub may look like another registry's once its host is left out.
    let means_the_same =
        |text: &str| Reference::parse(text).is_ok_and(|read| read.to_string() == view.reference);
    let short = if means_the_same(&view.short) { &view.short } else { &view.reference };
    let (name, _) = short.rsplit_once(':').unwrap_or((short, ""));
    // No image path can hold the port of a registry.
    let fits_a_path = !name.contains(':');
    super::render(&TagPage {
        view,
        short,
        server: server_url(&view.host, view.insecure_http),
        pull: fits_a_path.then(|| format!("{}/{short}", view.host)),
        pull_recorded: view
            .current
            .as_ref()
            .filter(|_| fits_a_path)
            .map(|current| format!("{}/{name}@{}", view.host, current.digest)),
        log_size: thousands(view.log_size),
    })
}

impl TagPage<'_> {
    /// What upstream serves where that is not what is recorded.
    fn moved_to(&self) -> Option<&str> {
        match &self.view.upstream {
            UpstreamView::Moved { digest } => Some(digest),
            _ => None,
        }
    }

    /// Whether upstream moved a tag that may not move.
    fn is_alarm(&self) -> bool {
        self.view.state == TagState::Frozen && self.view.current.is_some() && self.moved_to().is_some()
    }

    /// What the next pull makes of a digest that a tag which may move has moved to.
    fn next_pull(&self) -> &'static str {
        match (self.view.policy_action.as_str(), self.view.state) {
            ("deny", _) => "Pulls of it are refused here.",
            ("pass", _) => "Pulls of it are passed through and record nothing.",
            ("freeze", TagState::Observed) => {
                "The next pull records the new digest and freezes the tag at it."
            }
            ("follow", _) => "The next pull records the new digest before it is served.",
            _ => "The next pull records the new digest before it is served, and serves it with a warning.",
        }
    }

    /// What the policy means for this tag, given what is recorded of it already.
    fn policy(&self) -> &'static str {
        match (self.view.policy_action.as_str(), self.view.state) {
            ("deny", _) => "Pulls of this tag are refused here.",
            (_, TagState::Frozen) => {
                "The tag is frozen, and stays so whatever the policy says: only an operator’s public re-pin or thaw changes that."
            }
            ("pass", _) => "Pulls are served as upstream has them, neither recorded nor checked.",
            (_, TagState::Thawed) => {
                "An operator ended the freezing of this tag; it is observed until an operator freezes it again."
            }
            ("freeze", TagState::NeverRecorded) => {
                "The first pull records the digest, and from then on the tag means that digest."
            }
            ("freeze", TagState::Observed) => {
                "The next pull freezes the tag: from then on it means the digest that upstream serves at that moment."
            }
            ("observe", _) => {
                "Every digest is recorded before it is served, and a change is served with a warning."
            }
            ("follow", _) => "Every digest is recorded before it is served.",
            _ => "",
        }
    }
}

impl TagState {
    /// In a word.
    fn word(self) -> &'static str {
        match self {
            Self::Frozen => "frozen",
            Self::Observed => "observed",
            Self::Thawed => "thawed",
            Self::NeverRecorded => "never recorded",
        }
    }

    /// Its class in the style sheet.
    fn class(self) -> &'static str {
        match self {
            Self::NeverRecorded => "never",
            other => other.word(),
        }
    }

    /// In a sentence.
    fn meaning(self) -> &'static str {
        match self {
            Self::Frozen => "Here this tag means one digest, and is never served as another.",
            Self::Observed => "This tag may move: its digests are recorded, not frozen.",
            Self::Thawed => "An operator ended the freezing of this tag in public; since then it may move.",
            Self::NeverRecorded => "This log holds no record of this tag.",
        }
    }
}

impl CurrentView {
    fn readable_time(&self) -> String {
        readable_time(&self.time)
    }

    fn readable_size(&self) -> Option<String> {
        self.size.map(thousands)
    }
}

impl HistoryView {
    fn readable_time(&self) -> String {
        readable_time(&self.time)
    }

    /// The leaf's kind in plain words.
    fn event(&self) -> &str {
        match self.kind.as_str() {
            "tag" => "recorded and frozen",
            "seen" => "recorded, not frozen",
            "moved" => "upstream moved it",
            "supersede" => "re-pinned by an operator",
            "thaw" => "thawed by an operator",
            _ => "of a later version",
        }
    }

    /// What the second digest is.
    fn other_label(&self) -> &'static str {
        if self.kind == "supersede" { "before" } else { "upstream served" }
    }
}
