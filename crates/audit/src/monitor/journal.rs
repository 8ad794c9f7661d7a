//! The events so far, one JSON object a line, and how far each receiver has got.
//!
//! An event is in the journal before anybody hears of it, and a receiver's position is written after
//! the receiver has it. What a crash cuts off is written again, under the same name.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tlog::Hash;

use super::event::Event;
use crate::Error;
use crate::state::{read, replace};

/// Events kept in memory, for the feed.
const RECENT: usize = 100;
/// Bytes of a line, at most; ours are below 4 KiB.
const MAX_LINE: usize = 64 * 1024;

/// The journal of one log.
#[derive(Debug)]
pub(super) struct Journal {
    file: File,
    path: PathBuf,
    end: Position,
    recent: VecDeque<Event>,
}

/// A place in the journal: behind so many events.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Position {
    pub(super) number: u64,
    offset: u64,
}

impl Journal {
    /// Opens the journal, without what a crash left of a last line; every event is shown to `visit`.
    pub(super) fn open(path: &Path, mut visit: impl FnMut(&Event)) -> Result<Self, Error> {
        let file = OpenOptions::new().read(true).append(true).create(true).open(path);
        let file = file.map_err(Error::file("open", path))?;
        let mut journal =
            Self { file, path: path.to_owned(), end: Position::default(), recent: VecDeque::new() };
        loop {
            let page = journal.read(journal.end, u64::MAX, RECENT)?;
            let Some((_, position)) = page.last() else { break };
            journal.end = *position;
            for (event, _) in page {
                visit(&event);
                journal.keep(event);
            }
        }
        journal.file.set_len(journal.end.offset).map_err(Error::file("shorten", path))?;
        Ok(journal)
    }

    /// Adds events, which get their numbers here; durable on return.
    pub(super) fn append(&mut self, events: Vec<Event>) -> Result<(), Error> {
        let mut text = String::new();
        let mut end = self.end;
        let mut numbered = Vec::with_capacity(events.len());
        for event in events {
            end.number += 1;
            let event = Event { number: end.number, ..event };
            text.push_str(&line(&event));
            numbered.push(event);
        }
        if numbered.is_empty() {
            return Ok(());
        }
        end.offset += u64::try_from(text.len()).unwrap_or(u64::MAX);
        // What an earlier write that failed may have left.
        self.file.set_len(self.end.offset).map_err(Error::file("shorten", &self.path))?;
        self.file.write_all(text.as_bytes()).map_err(Error::file("write", &self.path))?;
        self.file.sync_data().map_err(Error::file("write", &self.path))?;
        self.end = end;
        numbered.into_iter().for_each(|event| self.keep(event));
        Ok(())
    }

    /// At most `limit` events behind a position, each with the position behind it.
    pub(super) fn page(&self, from: Position, limit: usize) -> Result<Vec<(Event, Position)>, Error> {
        // What lies behind was not written to its end: it may be gone after a crash, and another event have its number.
        self.read(from, self.end.number, limit)
    }

    fn read(&self, from: Position, last: u64, limit: usize) -> Result<Vec<(Event, Position)>, Error> {
        let failed = || Error::file("read", &self.path);
        let mut file = BufReader::new(File::open(&self.path).map_err(failed())?);
        file.seek(SeekFrom::Start(from.offset)).map_err(failed())?;
        let (mut page, mut position) = (Vec::new(), from);
        while page.len() < limit && position.number < last {
            let mut line = Vec::new();
            let length = file.read_until(b'\n', &mut line).map_err(failed())?;
            if length == 0 || line.last() != Some(&b'\n') {
                break;
            }
            let event = serde_json::from_slice::<Event>(&line).ok().filter(|_| length <= MAX_LINE);
            let next = position.number + 1;
            let event = event.filter(|event| event.number == next);
            let spoilt = || Error::Journal { path: self.path.clone(), line: next };
            let event = event.ok_or_else(spoilt)?;
            position = Position { number: next, offset: position.offset + length as u64 };
            page.push((event, position));
        }
        Ok(page)
    }

    /// The newest events, oldest first.
    pub(super) fn recent(&self) -> impl DoubleEndedIterator<Item = &Event> {
        self.recent.iter()
    }

    /// Behind the newest event.
    pub(super) fn end(&self) -> Position {
        self.end
    }

    /// How many events there are.
    pub(super) fn len(&self) -> u64 {
        self.end.number
    }

    fn keep(&mut self, event: Event) {
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(event);
    }
}

/// An event as it is written and sent.
pub(super) fn line(event: &Event) -> String {
    // Strings and numbers: nothing that JSON cannot say.
    let mut line = serde_json::to_string(event).unwrap_or_default();
    line.push('\n');
    line
}

/// How far a receiver has got, kept in a file of its own.
#[derive(Debug)]
pub(super) struct Receipt {
    path: PathBuf,
    position: Position,
}

impl Receipt {
    /// Of a receiver by its name, in a directory; one that is new gets what comes behind `end`.
    pub(super) fn open(directory: &Path, receiver: &str, end: Position) -> Result<Self, Error> {
        let path = directory.join(format!("sent-{}", Hash::of(receiver).to_hex()));
        let Some(json) = read(&path)? else {
            let mut receipt = Self { path, position: end };
            receipt.sign(end)?;
            return Ok(receipt);
        };
        let position =
            serde_json::from_slice(&json).map_err(|_| Error::Journal { path: path.clone(), line: 1 })?;
        Ok(Self { path, position })
    }

    pub(super) fn position(&self) -> Position {
        self.position
    }

    /// The receiver has everything before a position; durable on return.
    pub(super) fn sign(&mut self, position: Position) -> Result<(), Error> {
        let json = serde_json::to_string(&position).unwrap_or_default();
        replace(&self.path, json.as_bytes())?;
        self.position = position;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::EventKind;

    fn event(index: u64) -> Event {
        Event {
            number: 0,
            id: format!("x-{index}-seen"),
            kind: EventKind::Seen,
            log: "a.example/log".to_owned(),
            index,
            reference: Some("ghcr.io/a/b:v1".to_owned()),
            digest: None,
            other: None,
            time: 5,
            reason: None,
            text: "a \"text\"".to_owned(),
        }
    }

    fn indexes(journal: &Journal, from: Position) -> Vec<u64> {
        journal.page(from, 1_000).unwrap().into_iter().map(|(event, _)| event.index).collect()
    }

    #[test]
    fn events_are_numbered_and_there_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("events");
        let mut journal = Journal::open(&path, |_| ()).unwrap();
        journal.append((0..150).map(event).collect()).unwrap();
        let mut visited = 0;
        let mut again = Journal::open(&path, |_| visited += 1).unwrap();
        assert_eq!((visited, again.len(), again.recent().count()), (150, 150, RECENT));
        again.append(vec![event(150)]).unwrap();
        assert_eq!(indexes(&again, Position::default()), (0..=150).collect::<Vec<_>>());
        assert_eq!(again.recent().next_back().unwrap().number, 151);
    }

    #[test]
    fn nobody_hears_of_an_event_whose_write_did_not_come_to_its_end() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("events");
        let mut journal = Journal::open(&path, |_| ()).unwrap();
        journal.append(vec![event(0)]).unwrap();
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(line(&Event { number: 2, ..event(7) }).as_bytes()).unwrap();
        assert_eq!(indexes(&journal, Position::default()), [0]);
        assert_eq!(indexes(&journal, journal.end()), [] as [u64; 0]);
        journal.append(vec![event(1)]).unwrap();
        assert_eq!(indexes(&journal, Position::default()), [0, 1]);
    }

    #[test]
    fn half_a_line_is_cut_off_and_a_spoilt_one_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("events");
        Journal::open(&path, |_| ()).unwrap().append(vec![event(0), event(1)]).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for cut in 1..whole.len() - 1 {
            std::fs::write(&path, &whole[..whole.len() - cut]).unwrap();
            let mut journal = Journal::open(&path, |_| ()).unwrap();
            let there = journal.len();
            journal.append((there..2).map(event).collect()).unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), whole, "{cut}");
        }
        std::fs::write(&path, [whole.as_slice(), b"{}\n"].concat()).unwrap();
        assert!(matches!(Journal::open(&path, |_| ()), Err(Error::Journal { line: 3, .. })));
        std::fs::write(&path, [whole.as_slice(), whole.as_slice()].concat()).unwrap();
        assert!(matches!(Journal::open(&path, |_| ()), Err(Error::Journal { line: 3, .. })));
    }

    #[test]
    fn a_receiver_goes_on_where_it_was_and_a_new_one_begins_at_the_end() {
        let directory = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(&directory.path().join("events"), |_| ()).unwrap();
        let open = |receiver: &str, end| Receipt::open(directory.path(), receiver, end).unwrap();
        let mut receipt = open("https://a.example/hook", journal.end());
        journal.append((0..5).map(event).collect()).unwrap();
        let page = journal.page(receipt.position(), 2).unwrap();
        receipt.sign(page.last().unwrap().1).unwrap();
        let other = open("https://b.example/hook", journal.end());
        journal.append(vec![event(5)]).unwrap();
        let again = open("https://a.example/hook", journal.end());
        assert_eq!(indexes(&journal, again.position()), [2, 3, 4, 5]);
        assert_eq!(indexes(&journal, other.position()), [5]);
        assert_eq!(indexes(&journal, open("https://b.example/hook", journal.end()).position()), [5]);
    }
}
