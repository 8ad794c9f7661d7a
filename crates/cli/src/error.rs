//! Why a command could not run, and what to do about it. Here, and only here, hints are attached to library errors.
//! It must not know how an error is printed.

use std::fmt::Display;
use std::io::ErrorKind;

use clap::error::{ContextKind, ContextValue};
use ledger::{CreateError, LockError, OpenError};
use server::ServeError;
use server::admin::AdminError;
use server::config::ConfigError;

use crate::values::Wrong;

/// What ends a command early.
#[derive(Debug)]
pub(crate) struct CommandError {
    pub(crate) kind: Kind,
    /// The message and its causes.
    pub(crate) error: anyhow::Error,
    /// What to do about it, most useful first.
    pub(crate) hints: Vec<String>,
}

/// How it ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// Whoever read standard output has enough; a success.
    BrokenPipe,
    /// It could not run.
    CouldNotRun,
    /// The answer is no, and the error says why.
    No,
}

impl CommandError {
    /// An error without hints.
    pub(crate) fn new(error: impl Into<anyhow::Error>) -> Self {
        Self { kind: Kind::CouldNotRun, error: error.into(), hints: Vec::new() }
    }

    /// The same with one more hint.
    pub(crate) fn hinted(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// The same as the cause of `message`.
    pub(crate) fn because_of(mut self, message: impl Display + Send + Sync + 'static) -> Self {
        self.error = self.error.context(message);
        self
    }

    /// The same with one more hint, if there is one.
    pub(crate) fn hinted_if(self, hint: Option<impl Into<String>>) -> Self {
        match hint {
            Some(hint) => self.hinted(hint),
            None => self,
        }
    }
}

impl From<clap::Error> for CommandError {
    fn from(error: clap::Error) -> Self {
        if let Some(wrong) =
            std::error::Error::source(&error).and_then(|source| source.downcast_ref::<Wrong>())
        {
            let message = match error.get(ContextKind::InvalidArg) {
                Some(ContextValue::String(argument)) => format!("`{argument}`: {wrong}"),
                _ => wrong.to_string(),
            };
            return Self::new(anyhow::Error::msg(message)).hinted(wrong.hint.clone());
        }
        let text = error.render().to_string();
        let first = text.split("\n\n").next().unwrap_or_default();
        let message = first.strip_prefix("error: ").unwrap_or(first).to_owned();
        let mut wrapped = Self::new(anyhow::Error::msg(message));
        let tips = text.lines().filter_map(|line| line.strip_prefix("  tip: "));
        wrapped.hints.extend(tips.map(str::to_owned));
        let usage = error.get(ContextKind::Usage).map(ToString::to_string);
        let usage = usage.as_deref().and_then(|usage| usage.strip_prefix("Usage: "));
        if wrapped.hints.is_empty() {
            wrapped.hints.push(match usage {
                Some(usage) => format!("write it as `{usage}`; `--help` says more"),
                None => "`--help` explains every argument".to_owned(),
            });
        }
        wrapped
    }
}

impl From<ConfigError> for CommandError {
    fn from(error: ConfigError) -> Self {
        let hint = match (error.hint(), &error) {
            (Some(hint), _) => Some(hint.to_owned()),
            (None, ConfigError::Environment { variable, .. }) => {
                let example =
                    if variable.ends_with("LISTEN") { "set it to `127.0.0.1:8080`, or " } else { "" };
                Some(format!(
                    "{example}`unset {variable}` to use the configuration file's value or the default"
                ))
            }
            // The message ends with what to write instead.
            (None, _) => None,
        };
        Self::new(error).hinted_if(hint)
    }
}

impl From<CreateError> for CommandError {
    fn from(error: CreateError) -> Self {
        let error = match error {
            CreateError::Open(error) => return error.into(),
            other => other,
        };
        let hint = match &error {
            CreateError::Exists { .. } => Some("if it is the log that you want, `tlogistry serve` opens it"),
            CreateError::File { .. } => {
                Some("choose a place that this user may write to with `--data-dir DIR`")
            }
            _ => None,
        };
        Self::new(error).hinted_if(hint)
    }
}

impl From<OpenError> for CommandError {
    fn from(error: OpenError) -> Self {
        let hint = match &error {
            OpenError::NoLog { .. } | OpenError::NotOurs { .. } | OpenError::Lock(LockError::Io { .. }) => {
                Some(
                    "another data directory is named with `--data-dir DIR`; `tlogistry config show` says where this one came from",
                )
            }
            // The message ends with the way out.
            _ => None,
        };
        Self::new(error).hinted_if(hint)
    }
}

impl From<ServeError> for CommandError {
    fn from(error: ServeError) -> Self {
        let hint = error.hint();
        match error {
            ServeError::Create(error) => error.into(),
            ServeError::Open(error) => error.into(),
            other => Self::new(other).hinted_if(hint),
        }
    }
}

impl From<AdminError> for CommandError {
    fn from(error: AdminError) -> Self {
        let hint = match &error {
            AdminError::Fetch { .. } | AdminError::Manifest(_) => {
                Some("the digest must be that of a manifest which upstream has under this name")
            }
            AdminError::Socket(source) if source.kind() == ErrorKind::PermissionDenied => {
                Some("run it as the user that the service runs as")
            }
            AdminError::Socket(_) => Some(
                "whether it was done is not known: look at the page of the tag, `/t/REF`, before trying again",
            ),
            // The message ends with the way out.
            _ => None,
        };
        match error {
            AdminError::Open(error) => error.into(),
            other => Self::new(other).hinted_if(hint),
        }
    }
}
