//! The rollback guard: a small file, best on another volume, that remembers the highest committed size and its root.
//! Two checksummed slots are written in turn, so that a torn write always leaves the older one readable (design §4).
//! It must not know the store; comparing the mark with the head is `recovery`'s.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tlog::Hash;

use crate::disk::sync_directory_of;

const MAGIC: &[u8; 16] = b"tlogistry-guard\n";
/// Magic, identity of the log, size, root, checksum.
const SLOT: usize = 16 + 32 + 8 + 32 + 32;
/// Slots lie on pages of their own, so that one torn page cannot take both.
const OFFSETS: [u64; 2] = [0, 4096];
const FILE_LEN: u64 = 8192;

/// What the guard remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Number of leaves of the newest committed tree.
    pub(crate) size: u64,
    /// Its root.
    pub(crate) root: Hash,
}

/// Why a guard file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    /// There is no such file.
    #[error("the rollback guard `{}` is missing", .path.display())]
    Missing {
        /// The guard file.
        path: PathBuf,
    },
    /// Neither slot is intact, or the two contradict each other.
    #[error("the rollback guard `{}` is damaged", .path.display())]
    Damaged {
        /// The guard file.
        path: PathBuf,
    },
    /// The file guards another log.
    #[error("the rollback guard `{}` belongs to another log; point `guard_file` at this log's own", .path.display())]
    OtherLog {
        /// The guard file.
        path: PathBuf,
    },
    /// The file could not be read or written.
    #[error("cannot use the rollback guard `{}`", .path.display())]
    Io {
        /// The guard file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
}

/// The open guard file of one log.
#[derive(Debug)]
pub(crate) struct Guard {
    file: File,
    path: PathBuf,
    identity: Hash,
    next: usize,
}

impl Guard {
    /// Makes a guard that must not exist yet, holding `mark`; durable on return.
    pub(crate) fn create(path: &Path, identity: Hash, mark: Mark) -> Result<(), GuardError> {
        let failed = |source| GuardError::Io { path: path.to_owned(), source };
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
        file.set_len(FILE_LEN).map_err(failed)?;
        for offset in OFFSETS {
            file.write_all_at(&encode(&identity, &mark), offset).map_err(failed)?;
        }
        file.sync_all().map_err(failed)?;
        sync_directory_of(path).map_err(failed)
    }

    /// Opens the guard of the log that has one of these `identities`, and reads its mark.
    pub(crate) fn open(path: &Path, identities: &[Hash]) -> Result<(Self, Mark), GuardError> {
        let failed = |source| GuardError::Io { path: path.to_owned(), source };
        let file = match OpenOptions::new().read(true).write(true).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(GuardError::Missing { path: path.to_owned() });
            }
            Err(error) => return Err(failed(error)),
        };
        let mut slots = [None; 2];
        for (slot, offset) in slots.iter_mut().zip(OFFSETS) {
            let mut bytes = [0; SLOT];
            match file.read_exact_at(&mut bytes, offset) {
                Ok(()) => *slot = decode(&bytes),
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {}
                Err(error) => return Err(failed(error)),
            }
        }
        let damaged = || GuardError::Damaged { path: path.to_owned() };
        let (found, next) = match slots {
            [Some(a), Some(b)] if a.1.size == b.1.size && a.1 != b.1 => return Err(damaged()),
            [Some(a), Some(b)] if a.1.size < b.1.size => (b, 0),
            [Some(a), _] => (a, 1),
            [None, Some(b)] => (b, 0),
            [None, None] => return Err(damaged()),
        };
        let (identity, mark) = found;
        if !identities.contains(&identity) {
            return Err(GuardError::OtherLog { path: path.to_owned() });
        }
        Ok((Self { file, path: path.to_owned(), identity, next }, mark))
    }

    /// Makes it the guard of the log `identity`, which is the same log under another key; durable on return.
    pub(crate) fn adopt(&mut self, identity: Hash, mark: Mark) -> Result<(), GuardError> {
        if self.identity != identity {
            self.identity = identity;
            OFFSETS.iter().try_for_each(|_| self.write(mark))?;
        }
        Ok(())
    }

    /// Writes `mark` over the older slot; durable on return.
    pub(crate) fn write(&mut self, mark: Mark) -> Result<(), GuardError> {
        let failed = |source| GuardError::Io { path: self.path.clone(), source };
        let offset = OFFSETS.get(self.next).copied().unwrap_or_default();
        self.file.write_all_at(&encode(&self.identity, &mark), offset).map_err(failed)?;
        self.file.sync_data().map_err(failed)?;
        self.next = 1 - self.next;
        Ok(())
    }
}

fn encode(identity: &Hash, mark: &Mark) -> Vec<u8> {
    let mut slot = Vec::with_capacity(SLOT);
    slot.extend_from_slice(MAGIC);
    slot.extend_from_slice(identity.as_bytes());
    slot.extend_from_slice(&mark.size.to_be_bytes());
    slot.extend_from_slice(mark.root.as_bytes());
    let checksum = Sha256::digest(&slot);
    slot.extend_from_slice(&checksum);
    slot
}

fn decode(slot: &[u8; SLOT]) -> Option<(Hash, Mark)> {
    let (body, checksum) = slot.split_last_chunk::<32>()?;
    if Sha256::digest(body).as_slice() != checksum {
        return None;
    }
    let rest = body.strip_prefix(MAGIC)?;
    let (identity, rest) = rest.split_first_chunk::<32>()?;
    let (size, rest) = rest.split_first_chunk::<8>()?;
    let root = rest.first_chunk::<32>()?;
    Some((
        Hash::from_bytes(*identity),
        Mark { size: u64::from_be_bytes(*size), root: Hash::from_bytes(*root) },
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(size: u64) -> Mark {
        Mark { size, root: Hash::of(size.to_be_bytes()) }
    }

    fn fresh() -> (tempfile::TempDir, PathBuf, Hash) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("guard");
        let identity = Hash::of(b"vkey");
        Guard::create(&path, identity, mark(2)).unwrap();
        (directory, path, identity)
    }

    #[test]
    fn the_newest_mark_is_read_back() {
        let (_directory, path, identity) = fresh();
        for size in 3..9 {
            let (mut guard, _) = Guard::open(&path, &[identity]).unwrap();
            guard.write(mark(size)).unwrap();
            guard.write(mark(size + 10)).unwrap();
            guard.write(mark(size + 20)).unwrap();
            assert_eq!(Guard::open(&path, &[identity]).unwrap().1, mark(size + 20));
        }
    }

    #[test]
    fn a_torn_write_leaves_the_mark_before_it() {
        let (_directory, path, identity) = fresh();
        let (mut guard, _) = Guard::open(&path, &[identity]).unwrap();
        guard.write(mark(3)).unwrap();
        let torn = OFFSETS[guard.next];
        guard.file.write_all_at(b"half a slot", torn).unwrap();
        assert_eq!(Guard::open(&path, &[identity]).unwrap().1, mark(3));
    }

    #[test]
    fn a_guard_without_an_intact_slot_is_damaged() {
        let (_directory, path, identity) = fresh();
        std::fs::write(&path, vec![0; 8192]).unwrap();
        assert!(matches!(Guard::open(&path, &[identity]), Err(GuardError::Damaged { .. })));
        std::fs::write(&path, b"").unwrap();
        assert!(matches!(Guard::open(&path, &[identity]), Err(GuardError::Damaged { .. })));
    }

    #[test]
    fn two_slots_that_contradict_each_other_are_damage() {
        let (_directory, path, identity) = fresh();
        let (mut guard, _) = Guard::open(&path, &[identity]).unwrap();
        guard.write(Mark { size: 2, root: Hash::of(b"another root") }).unwrap();
        assert!(matches!(Guard::open(&path, &[identity]), Err(GuardError::Damaged { .. })));
    }

    #[test]
    fn the_guard_of_another_log_is_refused() {
        let (_directory, path, _) = fresh();
        assert!(matches!(Guard::open(&path, &[Hash::of(b"other")]), Err(GuardError::OtherLog { .. })));
    }

    #[test]
    fn a_guard_follows_its_log_to_another_key_and_is_refused_to_others() {
        let (_directory, path, identity) = fresh();
        let next = Hash::of(b"the next key");
        let (mut guard, _) = Guard::open(&path, &[next, identity]).unwrap();
        guard.adopt(next, mark(5)).unwrap();
        assert!(matches!(Guard::open(&path, &[identity]), Err(GuardError::OtherLog { .. })));
        assert_eq!(Guard::open(&path, &[next]).unwrap().1, mark(5));
    }

    #[test]
    fn an_existing_guard_is_never_made_anew() {
        let (_directory, path, identity) = fresh();
        assert!(matches!(Guard::create(&path, identity, mark(9)), Err(GuardError::Io { .. })));
        assert_eq!(Guard::open(&path, &[identity]).unwrap().1, mark(2));
    }
}
