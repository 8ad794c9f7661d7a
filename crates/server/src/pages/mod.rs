//! The pages a person sees: plain views in, whole HTML pages out, and the assets that they load.
//!
//! Templates are checked when they are compiled and escape all that they print. Must not know the
//! ledger, the network or requests: `edge::pages` fills the views.

mod home;
mod host;
mod lookup;
mod message;
mod tag;
mod text;

use askama::Template;

pub(crate) use self::home::{HomeView, home};
pub(crate) use self::host::host_for_commands;
pub(crate) use self::lookup::lookup_target;
pub(crate) use self::message::{not_found, problem};
pub(crate) use self::tag::{CurrentView, HistoryView, TagState, TagView, UpstreamView, tag};

/// Of every page. Nothing but our own assets is loaded; `connect-src` lets a tag's page fetch its proof.
pub(crate) const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; \
     img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// `/assets/style.css`
pub(crate) fn style() -> &'static [u8] {
    include_bytes!("../../assets/style.css")
}

/// `/assets/script.js`
pub(crate) fn script() -> &'static [u8] {
    include_bytes!("../../assets/script.js")
}

/// `/assets/proof.js`: a module that checks the proof of a tag on its page.
pub(crate) fn proof_module() -> &'static [u8] {
    include_bytes!("../../assets/proof.mjs")
}

/// A template fails only where a value that it prints does; ours are strings and numbers.
fn render(page: &impl Template) -> String {
    page.render().unwrap_or_else(|error| {
        tracing::error!(%error, "a page cannot be rendered");
        "<!doctype html><title>tlogistry</title><p>This page cannot be shown.</p>".to_owned()
    })
}

#[cfg(test)]
mod tests;
