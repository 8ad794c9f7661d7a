//! What every client's set-up is made of: the service as clients reach it, files, and whether the client can be closed.
//! It must not know any client.

use serde::Serialize;
use url::Url;

use crate::values::Registry;

/// The service as clients reach it.
#[derive(Debug)]
pub(super) struct Service<'a> {
    url: &'a Url,
    /// Absolute path of a CA certificate on the client's machine.
    pub(super) ca: Option<&'a str>,
}

/// Everything that a client needs.
#[derive(Debug)]
pub(super) struct Setup {
    pub(super) files: Vec<File>,
    pub(super) closing: Closing,
    /// Sentences for whoever sets it up.
    pub(super) notes: Vec<String>,
}

/// A file of a client.
#[derive(Debug, Serialize)]
pub(super) struct File {
    /// Absolute on the client's machine; a bare name where it goes elsewhere.
    pub(super) path: String,
    pub(super) content: String,
}

/// What the client does when a pull is refused.
#[derive(Debug)]
pub(super) enum Closing {
    /// It fails.
    Closed,
    /// It goes to the registry itself.
    Open {
        /// Which and why.
        why: &'static str,
        /// What closes the gap.
        remedy: String,
    },
}

/// Why a client cannot be set up as asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unsuited {
    #[error("its configuration has no word for all registries")]
    NoWildcard,
    #[error("it has mirrors for docker.io alone")]
    DockerHubOnly,
}

impl Unsuited {
    pub(super) fn hint(&self) -> &'static str {
        match self {
            Self::NoWildcard => "name each with `--registry HOST`",
            Self::DockerHubOnly => {
                "`--registry docker.io`; for the others use `docker` with the containerd store, or names such as \
                 `tlog.example/ghcr.io/org/app`"
            }
        }
    }
}

impl<'a> Service<'a> {
    pub(super) fn new(url: &'a Url, ca: Option<&'a str>) -> Self {
        Self { url, ca }
    }

    /// `https://tlog.example`, without a slash at the end.
    pub(super) fn url(&self) -> &str {
        self.url.as_str().trim_end_matches('/')
    }

    /// `tlog.example`, with the port if it is not the scheme's.
    pub(super) fn authority(&self) -> &str {
        self.url.authority()
    }

    /// The same for image names.
    pub(super) fn prefix(&self, registry: &Registry) -> String {
        format!("{}/{}", self.authority(), registry.as_str())
    }

    pub(super) fn is_plain_http(&self) -> bool {
        self.url.scheme() == "http"
    }

    fn is_loopback(&self) -> bool {
        match self.url.host() {
            Some(url::Host::Domain(name)) => name == "localhost",
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
    }
}

impl Setup {
    pub(super) fn closed(files: Vec<File>, notes: Vec<String>) -> Self {
        Self { files, closing: Closing::Closed, notes }
    }

    /// First what happens to a refused pull, then the rest.
    pub(super) fn all_notes(&self, service: &Service<'_>) -> Vec<String> {
        let mut notes = match &self.closing {
            Closing::Closed => vec![CLOSED.to_owned()],
            Closing::Open { why, remedy } => vec![format!("FAIL-OPEN: {why}"), remedy.clone()],
        };
        notes.extend(self.notes.iter().cloned());
        if service.is_plain_http() && !service.is_loopback() {
            notes.push(format!(
                "`{}` is plain HTTP: whoever sits between can answer in its place; use TLS",
                service.url()
            ));
        }
        notes
    }
}

/// Columns of a comment.
const WIDTH: usize = 116;

/// Said of every client that can be closed.
pub(super) const CLOSED: &str = "fail-closed: a tag that tlogistry refuses is pulled from nowhere else";

/// A file whose format has `#` comments: its path, then `comments`, then `body`.
pub(super) fn commented(path: impl Into<String>, comments: &[&str], body: &str) -> File {
    let path = path.into();
    let mut content = format!("# {path}\n");
    for comment in comments {
        wrap(comment, &mut content);
    }
    content.push_str(body);
    File { path, content }
}

/// Adds a comment in lines of at most [`WIDTH`]; one that fits stays as it is.
fn wrap(comment: &str, content: &mut String) {
    if comment.len() <= WIDTH {
        content.push_str(&format!("# {comment}\n"));
        return;
    }
    let mut width = WIDTH;
    for word in comment.split(' ') {
        if width + 1 + word.len() > WIDTH {
            content.push_str(if content.ends_with('\n') { "#" } else { "\n#" });
            width = 0;
        }
        content.push(' ');
        content.push_str(word);
        width += 1 + word.len();
    }
    content.push('\n');
}

/// A string in quotation marks, which JSON, TOML and YAML read alike; none that gets here has a control character.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Refuses `*` for clients that cannot say it.
pub(super) fn named(registries: &[Registry]) -> Result<(), Unsuited> {
    if registries.iter().any(Registry::is_all) { Err(Unsuited::NoWildcard) } else { Ok(()) }
}

/// What closes the network where the client cannot be closed.
pub(super) fn egress(registries: &[Registry]) -> String {
    let hosts: Vec<_> = registries.iter().map(Registry::serving_host).collect();
    format!(
        "To close it, block egress from the client to {}, so that only the service reaches them; or name images by the \
         service, which is fail-closed everywhere",
        hosts.join(", ")
    )
}
