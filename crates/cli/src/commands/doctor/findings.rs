//! What was looked at and how it is. It must not know what is looked at.

use std::fmt::Write as _;

use anstream::adapter::strip_str;
use clap::builder::styling::{AnsiColor, Style};
use serde::Serialize;

use crate::error::CommandError;
use crate::ui::{Answer, Ui};

const OK: Style = AnsiColor::Green.on_default();
const WARN: Style = AnsiColor::Yellow.on_default().bold();
const FAIL: Style = AnsiColor::Red.on_default().bold();

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    Ok,
    Warn,
    Fail,
}

#[derive(Debug, Serialize)]
struct Finding {
    level: Level,
    /// A file, or a part of the service.
    subject: String,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

/// In the order in which they were made.
#[derive(Debug, Default)]
pub(super) struct Findings(Vec<Finding>);

#[derive(Serialize)]
struct Printed<'a> {
    healthy: bool,
    failed: usize,
    warned: usize,
    findings: &'a [Finding],
}

impl Findings {
    pub(super) fn ok(&mut self, subject: &str, message: impl Into<String>) {
        self.add(Level::Ok, subject, &message.into(), None);
    }

    pub(super) fn warn(&mut self, subject: &str, message: impl Into<String>, hint: impl Into<String>) {
        self.add(Level::Warn, subject, &message.into(), Some(&hint.into()));
    }

    pub(super) fn fail(&mut self, subject: &str, message: impl Into<String>, hint: impl Into<String>) {
        self.add(Level::Fail, subject, &message.into(), Some(&hint.into()));
    }

    /// How many there are: what was found since is told by comparing.
    pub(super) fn problems(&self) -> usize {
        self.count(Level::Fail) + self.count(Level::Warn)
    }

    /// Says so where nothing was found since there were `before` problems.
    pub(super) fn ok_unless_more(&mut self, before: usize, subject: &str, message: &str) {
        if self.problems() == before {
            self.ok(subject, message.to_owned());
        }
    }

    #[cfg(test)]
    pub(super) fn levels(&self) -> Vec<Level> {
        self.0.iter().map(|finding| finding.level).collect()
    }

    /// One line each, the hint below it.
    pub(super) fn print(&self, ui: &Ui) -> Result<Answer, CommandError> {
        let (failed, warned) = (self.count(Level::Fail), self.count(Level::Warn));
        let mut text = String::new();
        for Finding { level, subject, message, hint } in &self.0 {
            let (style, word) = match level {
                Level::Ok => (OK, "ok  "),
                Level::Warn => (WARN, "warn"),
                Level::Fail => (FAIL, "FAIL"),
            };
            // Writing to a String does not fail.
            let _infallible = writeln!(text, "{style}{word}{style:#}  {subject}: {message}");
            if let Some(hint) = hint {
                let _infallible = writeln!(text, "      {hint}");
            }
        }
        let healthy = failed == 0;
        let answer = if healthy { Answer::Yes } else { Answer::No };
        let answered = ui.answer(answer, text, &Printed { healthy, failed, warned, findings: &self.0 });
        ui.note(format_args!("failed: {failed}, warnings: {warned}"));
        answered
    }

    fn add(&mut self, level: Level, subject: &str, message: &str, hint: Option<&str>) {
        // Names and messages come from files: nothing of them may reach the terminal as a command.
        let plain = |text: &str| -> String {
            let text = strip_str(text).to_string();
            text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
        };
        let (subject, message) = (plain(subject), plain(message));
        self.0.push(Finding { level, subject, message, hint: hint.map(plain) });
    }

    fn count(&self, level: Level) -> usize {
        self.0.iter().filter(|finding| finding.level == level).count()
    }
}
