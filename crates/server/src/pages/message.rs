//! The pages that say that something did not work, and how to go on.

use askama::Template;

use super::text::{Piece, sentence};

#[derive(Template)]
#[template(path = "message.html")]
struct MessagePage<'a> {
    title: &'a str,
    message: Vec<Piece>,
    hint: Vec<Piece>,
}

/// A path that leads nowhere.
pub(crate) fn not_found(what: &str) -> String {
    let shown: String = what.chars().take(200).collect();
    problem(
        "Nothing is here",
        &format!("`{}` is neither a page nor a file of this service", shown.replace('`', "'")),
        "look a tag up, or go back to the front page",
    )
}

/// A request that failed; `message` and `hint` may mark code with backticks.
pub(crate) fn problem(title: &str, message: &str, hint: &str) -> String {
    super::render(&MessagePage { title, message: sentence(message), hint: sentence(hint) })
}
