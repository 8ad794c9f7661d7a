//! All output: data on standard output, everything else on standard error.
//! It must not know any verb. Nothing else in this crate writes to either.

mod progress;

use std::ffi::OsString;
use std::fmt::Display;
use std::io::{self, ErrorKind, IsTerminal as _, Write};
use std::process::ExitCode;

use anstream::{AutoStream, ColorChoice};
use clap::builder::styling::{AnsiColor, Style};
use serde::Serialize;

pub(crate) use self::progress::Progress;
use crate::args::{Color, Global, Output};
use crate::error::{CommandError, Kind};

const SUCCESS: u8 = 0;
const NO: u8 = 1;
const COULD_NOT_RUN: u8 = 2;

const ERROR: Style = AnsiColor::Red.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default().bold();

/// What a command that ran has to say in its exit status.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Answer {
    /// Yes, or done.
    Yes,
    /// The answer is no.
    No,
}

/// How to speak to whoever called.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ui {
    output: Output,
    color: ColorChoice,
    verbosity: i8,
    progress: bool,
}

/// The version of every JSON object that is printed.
#[derive(Serialize)]
struct Versioned<'a, T> {
    schema: u32,
    #[serde(flatten)]
    value: &'a T,
}

impl Ui {
    /// As the global options say.
    pub(crate) fn new(global: &Global) -> Self {
        let count = |flags: u8| i8::try_from(flags).unwrap_or(i8::MAX);
        Self {
            output: global.output,
            color: match global.color {
                Color::Auto => ColorChoice::Auto,
                Color::Always => ColorChoice::Always,
                Color::Never => ColorChoice::Never,
            },
            verbosity: count(global.verbose).saturating_sub(count(global.quiet)),
            progress: !global.no_progress,
        }
    }

    /// For arguments that could not be parsed, or asked for help: their `--color` counts all the same.
    pub(crate) fn unparsed(arguments: &[OsString]) -> Self {
        let words = arguments.iter().filter_map(|argument| argument.to_str());
        let values = words.clone().skip(1).chain(std::iter::once(""));
        let color = words.zip(values).find_map(|(word, next)| match word {
            "--color" => Some(next),
            _ => word.strip_prefix("--color="),
        });
        let color = match color {
            Some("always") => ColorChoice::Always,
            Some("never") => ColorChoice::Never,
            _ => ColorChoice::Auto,
        };
        Self { output: Output::Text, color, verbosity: 0, progress: false }
    }

    /// Prints `text` or, where JSON was asked for, `value`, on standard output.
    ///
    /// # Errors
    /// Standard output cannot be written; a reader that has enough is told apart.
    pub(crate) fn print(&self, text: impl Display, value: &impl Serialize) -> Result<(), CommandError> {
        match self.output {
            Output::Text => self.print_text(text),
            Output::Json => {
                let line =
                    serde_json::to_string(&Versioned { schema: 1, value }).map_err(CommandError::new)?;
                self.print_text(line)
            }
        }
    }

    /// Prints as [`Ui::print`] what led to `answer`, and gives it back; a reader that has enough does not change it.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub(crate) fn answer(
        &self,
        answer: Answer,
        text: impl Display,
        value: &impl Serialize,
    ) -> Result<Answer, CommandError> {
        match self.print(text, value) {
            Err(error) if error.kind == Kind::BrokenPipe => Ok(answer),
            printed => printed.map(|()| answer),
        }
    }

    /// Prints `text` on standard output, whatever form was asked for.
    ///
    /// # Errors
    /// As [`Ui::print`].
    pub(crate) fn print_text(&self, text: impl Display) -> Result<(), CommandError> {
        let text = text.to_string();
        let end = if text.ends_with('\n') { "" } else { "\n" };
        let mut stdout = AutoStream::new(io::stdout().lock(), self.color);
        write!(stdout, "{text}{end}").and_then(|()| stdout.flush()).map_err(unwritten)
    }

    /// Whether JSON was asked for.
    pub(crate) fn is_json(&self) -> bool {
        self.output == Output::Json
    }

    /// 0 informs; below 0 says less, above says more.
    pub(crate) fn verbosity(&self) -> i8 {
        self.verbosity
    }

    /// Tells what was done; not with `--quiet`.
    pub(crate) fn note(&self, text: impl Display) {
        if self.verbosity >= 0 {
            self.stderr(format_args!("{text}\n"));
        }
    }

    /// Whether a person reads standard error.
    pub(crate) fn is_on_terminal(&self) -> bool {
        io::stderr().is_terminal()
    }

    /// Progress of something that a person waits for.
    pub(crate) fn progress(&self) -> Progress {
        if !self.progress || self.verbosity < 0 {
            Progress::hidden()
        } else if self.is_on_terminal() {
            Progress::bar()
        } else {
            Progress::lines(*self)
        }
    }

    /// Prints the error, if there is one, and gives the exit status.
    pub(crate) fn end(&self, result: Result<Answer, CommandError>) -> ExitCode {
        ExitCode::from(match result {
            Ok(Answer::Yes) => SUCCESS,
            Ok(Answer::No) => NO,
            Err(error) if error.kind == Kind::BrokenPipe => SUCCESS,
            Err(error) => {
                self.error(&error);
                if error.kind == Kind::No { NO } else { COULD_NOT_RUN }
            }
        })
    }

    /// Help and version go to standard output, anything else is an error.
    pub(crate) fn end_unparsed(&self, error: clap::Error) -> ExitCode {
        use clap::error::ErrorKind::{DisplayHelp, DisplayHelpOnMissingArgumentOrSubcommand, DisplayVersion};
        match error.kind() {
            DisplayHelp | DisplayVersion => {
                self.end(self.print_text(error.render().ansi()).map(|()| Answer::Yes))
            }
            DisplayHelpOnMissingArgumentOrSubcommand => {
                self.stderr(error.render().ansi());
                ExitCode::from(COULD_NOT_RUN)
            }
            _ => self.end(Err(error.into())),
        }
    }

    /// The message, its causes, a blank line, the hints.
    fn error(&self, error: &CommandError) {
        let mut text = format!("{ERROR}error:{ERROR:#} {}\n", error.error);
        let mut said = vec![error.error.to_string()];
        for cause in error.error.chain().skip(1).map(ToString::to_string) {
            // Libraries wrap a message in itself; once is enough.
            if said.iter().any(|before| cause.contains(before)) {
                continue;
            }
            text.push_str(&format!("  caused by {}: {cause}\n", said.len()));
            said.push(cause);
        }
        for (place, hint) in error.hints.iter().enumerate() {
            let blank = if place == 0 { "\n" } else { "" };
            text.push_str(&format!("{blank}{HINT}hint:{HINT:#} {hint}\n"));
        }
        self.stderr(text);
    }

    fn stderr(&self, text: impl Display) {
        // There is nowhere left to say that standard error cannot be written.
        let _unsaid = write!(AutoStream::new(io::stderr().lock(), self.color), "{text}");
    }
}

fn unwritten(error: io::Error) -> CommandError {
    let kind = if error.kind() == ErrorKind::BrokenPipe { Kind::BrokenPipe } else { Kind::CouldNotRun };
    let error = anyhow::Error::new(error).context("standard output cannot be written");
    CommandError { kind, error, hints: vec!["is the disk full that it goes to?".to_owned()] }
}
