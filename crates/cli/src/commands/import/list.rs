//! The list: a reference a line, read as it is needed, whatever its size.
//! It must not know what is done with a reference.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use oci::TagName;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::lines;
use crate::error::CommandError;
use crate::values;

/// References in one list: what is done is remembered, by a hash each.
pub(super) const MAX_REFERENCES: u64 = 1_000_000;
/// Lines read ahead.
const AHEAD: usize = 256;

/// A file, or standard input.
#[derive(Clone, Debug)]
pub(super) struct List {
    file: PathBuf,
}

/// A line that is neither empty nor a comment.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) number: u64,
    /// The reference, or why it is none.
    pub(super) tag: Result<TagName, String>,
}

/// The lines of a list.
struct Lines<R> {
    reader: R,
    number: u64,
    references: u64,
}

impl List {
    /// `-` is standard input.
    pub(super) fn new(file: PathBuf) -> Self {
        Self { file }
    }

    /// None for standard input.
    pub(super) fn path(&self) -> Option<&Path> {
        (self.file.as_os_str() != "-").then_some(&self.file)
    }

    /// As the user wrote it.
    pub(super) fn name(&self) -> String {
        self.file.display().to_string()
    }

    /// How many lines there are to do; none where it can be read only once.
    pub(super) fn count(&self) -> Result<Option<u64>, CommandError> {
        let Some(path) = self.path() else { return Ok(None) };
        if !std::fs::metadata(path).map_err(|error| self.unread(error))?.is_file() {
            return Ok(None);
        }
        let mut lines = Lines::of(BufReader::new(File::open(path).map_err(|error| self.unread(error))?));
        while lines.next(self)?.is_some() {}
        Ok(Some(lines.references))
    }

    /// Its lines, read by a thread of its own: standard input may keep a reader waiting.
    pub(super) fn lines(self) -> Result<Receiver<Result<Line, CommandError>>, CommandError> {
        let (sender, receiver) = channel(AHEAD);
        let reading = std::thread::Builder::new().name("list".to_owned());
        let _detached = reading
            .spawn(move || self.send(&sender))
            .map_err(|error| CommandError::new(error).because_of("cannot start a thread"))?;
        Ok(receiver)
    }

    fn send(&self, to: &Sender<Result<Line, CommandError>>) {
        let sent = match self.path() {
            None => self.send_all(io::stdin().lock(), to),
            Some(path) => match File::open(path) {
                Ok(file) => self.send_all(BufReader::new(file), to),
                Err(error) => Err(self.unread(error)),
            },
        };
        if let Err(error) = sent {
            // Nobody who listens has been told that it is over already.
            let _heard = to.blocking_send(Err(error));
        }
    }

    fn send_all(
        &self,
        reader: impl BufRead,
        to: &Sender<Result<Line, CommandError>>,
    ) -> Result<(), CommandError> {
        let mut lines = Lines::of(reader);
        while let Some(line) = lines.next(self)? {
            if to.blocking_send(Ok(line)).is_err() {
                break;
            }
        }
        Ok(())
    }

    fn unread(&self, error: io::Error) -> CommandError {
        CommandError::new(error).because_of(format!("cannot read `{}`", self.name()))
    }
}

impl<R: BufRead> Lines<R> {
    fn of(reader: R) -> Self {
        Self { reader, number: 0, references: 0 }
    }

    fn next(&mut self, list: &List) -> Result<Option<Line>, CommandError> {
        while let Some(line) = lines::next(&mut self.reader).map_err(|error| list.unread(error))? {
            self.number += 1;
            let tag = match &line.text {
                Ok(text) => match text.split('#').next().unwrap_or_default().trim() {
                    "" => continue,
                    text => values::tag(text).map_err(|wrong| format!("{wrong}; {}", wrong.hint)),
                },
                Err(unreadable) => Err(unreadable.to_string()),
            };
            self.references += 1;
            if self.references > MAX_REFERENCES {
                let message = format!("`{}` holds more than {MAX_REFERENCES} references", list.name());
                return Err(CommandError::new(anyhow::Error::msg(message)).hinted("split it"));
            }
            return Ok(Some(Line { number: self.number, tag }));
        }
        Ok(None)
    }
}
