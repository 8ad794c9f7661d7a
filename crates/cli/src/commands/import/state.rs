//! What is done, in a file: result lines, appended as they come and read when a run starts.
//! It must not know how a reference is recorded.

use std::collections::HashSet;
use std::fs::{File, TryLockError};
use std::io::{self, BufReader, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use oci::{Sha256Digest, TagName};
use url::Url;

use super::lines;
use super::list::MAX_REFERENCES;
use crate::error::CommandError;

/// What begins the first line; the service follows.
const MAGIC: &str = "tlogistry import 1 ";
/// Results between two that are certain to survive the machine; all survive the process.
const BATCH: u32 = 64;

/// References that are done, in this run or an earlier one.
#[derive(Debug)]
pub(super) struct State {
    /// By hash, so that a million of them take a few dozen megabytes.
    done: HashSet<Sha256Digest>,
    file: Option<Appended>,
}

/// Locked against a second run.
#[derive(Debug)]
struct Appended {
    path: PathBuf,
    file: File,
    unsynced: u32,
}

impl State {
    /// Nothing is noted anywhere.
    pub(super) fn none() -> Self {
        Self { done: HashSet::new(), file: None }
    }

    /// What earlier runs through the same service noted in this file, which is made if need be.
    ///
    /// # Errors
    /// It cannot be read or written, is in use, or is something else.
    pub(super) fn open(path: &Path, server: &Url) -> Result<Self, CommandError> {
        let unusable = |error: io::Error| unusable(path, error);
        let file = File::options().read(true).append(true).create(true).open(path).map_err(unusable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::Error(error)) => return Err(unusable(error)),
            Err(TryLockError::WouldBlock) => {
                let message = format!("another import has `{}` open", path.display());
                return Err(CommandError::new(anyhow::Error::msg(message))
                    .hinted("wait until it is done, or name another file with `--state FILE`"));
            }
        }
        let mut appended = Appended { path: path.to_owned(), file, unsynced: 0 };
        let done = appended.read(server)?;
        Ok(Self { done, file: Some(appended) })
    }

    pub(super) fn is_none(&self) -> bool {
        self.file.is_none()
    }

    /// Whether the reference comes for the first time, in this run and all before it.
    pub(super) fn is_new(&mut self, tag: &TagName) -> bool {
        self.done.insert(Sha256Digest::of(tag.to_string()))
    }

    /// Notes the result line of a reference that is done.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn note(&mut self, line: &str) -> Result<(), CommandError> {
        let Some(appended) = &mut self.file else { return Ok(()) };
        appended.write(line)?;
        if appended.unsynced >= BATCH { self.sync() } else { Ok(()) }
    }

    /// Has everything that was noted survive the machine.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn sync(&mut self) -> Result<(), CommandError> {
        let Some(appended) = &mut self.file else { return Ok(()) };
        if appended.unsynced > 0 {
            appended.file.sync_data().map_err(|error| unusable(&appended.path, error))?;
            appended.unsynced = 0;
        }
        Ok(())
    }
}

impl Appended {
    /// Reads it whole, cuts off a line that was never finished, and begins a file that is new.
    fn read(&mut self, server: &Url) -> Result<HashSet<Sha256Digest>, CommandError> {
        let Self { path, file, .. } = &*self;
        let unusable = |error: io::Error| unusable(path, error);
        let first = format!("{MAGIC}{server}");
        let mut reader = BufReader::new(file);
        reader.seek(SeekFrom::Start(0)).map_err(unusable)?;
        let (mut done, mut whole, mut number) = (HashSet::new(), 0_u64, 0_u64);
        while let Some(line) = lines::next(&mut reader).map_err(unusable)? {
            number += 1;
            let text = line.text.as_deref().unwrap_or("?");
            // What an end in the middle of writing left behind; anything else stays as it is.
            if !line.is_whole && (number > 1 || first.starts_with(text)) {
                break;
            }
            if number == 1 {
                check_first(path, text, server)?;
            } else {
                done.insert(reference(text).ok_or_else(|| foreign(path, number))?);
            }
            if done.len() as u64 > MAX_REFERENCES {
                let message = format!("`{}` holds more than {MAX_REFERENCES} references", path.display());
                return Err(CommandError::new(anyhow::Error::msg(message))
                    .hinted("split the list, with a state each"));
            }
            whole += line.length;
        }
        file.set_len(whole).map_err(unusable)?;
        if whole == 0 {
            self.write(&first)?;
        }
        Ok(done)
    }

    fn write(&mut self, line: &str) -> Result<(), CommandError> {
        self.file.write_all(format!("{line}\n").as_bytes()).map_err(|error| unusable(&self.path, error))?;
        self.unsynced += 1;
        Ok(())
    }
}

/// The first line names the service: what one has recorded another may not know.
fn check_first(path: &Path, text: &str, server: &Url) -> Result<(), CommandError> {
    let of = text.strip_prefix(MAGIC).ok_or_else(|| foreign(path, 1))?;
    if of == server.as_str() {
        return Ok(());
    }
    let message = format!("`{}` says what was done through `{of}`, not through `{server}`", path.display());
    Err(CommandError::new(anyhow::Error::msg(message)).hinted("name another file with `--state FILE`"))
}

/// The reference of a result line whose result is that it is done.
fn reference(line: &str) -> Option<Sha256Digest> {
    let mut words = line.split(' ');
    let (word, reference, digest, index) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let done = matches!(word, "recorded" | "known") && words.next().is_none();
    let _digest = Sha256Digest::parse(digest).ok().filter(|_| done)?;
    let _index = index.parse::<u64>().ok()?;
    Some(Sha256Digest::of(reference))
}

fn foreign(path: &Path, line: u64) -> CommandError {
    let message =
        format!("`{}` is no state of an import: line {line} was not written by one", path.display());
    CommandError::new(anyhow::Error::msg(message)).hinted("name another file with `--state FILE`")
}

fn unusable(path: &Path, error: io::Error) -> CommandError {
    CommandError::new(error)
        .because_of(format!("cannot note in `{}` what is done", path.display()))
        .hinted("name a file where this user may write with `--state FILE`")
}
