//! The front page: what this is, how to pull through it, how to check it.

use askama::Template;

use super::host::server_url;
use super::text::{shell_word, thousands};

/// What the front page says of this service.
#[derive(Clone, Debug)]
pub(crate) struct HomeView {
    /// `host[:port]` for commands.
    pub(crate) host: String,
    /// Whether that is plain http beyond this machine.
    pub(crate) insecure_http: bool,
    /// The log's name.
    pub(crate) origin: String,
    /// The log's public key.
    pub(crate) vkey: String,
    /// Leaves in the published log.
    pub(crate) size: u64,
}

#[derive(Template)]
#[template(path = "home.html")]
struct HomePage<'a> {
    view: &'a HomeView,
    server: String,
    key_word: String,
    size: String,
}

/// `GET /`
pub(crate) fn home(view: &HomeView) -> String {
    super::render(&HomePage {
        view,
        server: server_url(&view.host, view.insecure_http),
        key_word: shell_word(&view.vkey),
        size: thousands(view.size),
    })
}
