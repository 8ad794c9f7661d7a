//! The keys of one log: the one it goes by, one that it changes to, those it has signed with before. Whoever checks a
//! checkpoint may hold any of them. It must not know how a key is made or kept (`signer`).

use rusqlite::Connection;
use tlog::{Hash, KeyAlgorithm, Note, SignedCheckpoint, VerifierKey};

use crate::error::{Doing, Error, OpenError, ReadOnly};
use crate::options::Options;
use crate::signer::Signer;
use crate::store::{self, CheckpointRow, HeadRow};

/// Verifier keys, all of one origin.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    own: VerifierKey,
    others: Vec<VerifierKey>,
}

impl Keys {
    /// The stored keys; `None` when one is malformed or of another log.
    pub(crate) fn stored(connection: &Connection, head: &HeadRow) -> Result<Option<Self>, Error> {
        let parse = |key: &String| key.parse().ok().filter(|key: &VerifierKey| key.name() == head.origin);
        let others: Option<Vec<VerifierKey>> = store::log_keys(connection)?.iter().map(parse).collect();
        Ok(parse(&head.vkey).zip(others).map(|(own, others)| Self { own, others }))
    }

    /// The key that the log goes by.
    pub(crate) fn own(&self) -> &VerifierKey {
        &self.own
    }

    /// All of them, the one that the log goes by first.
    pub(crate) fn all(&self) -> impl Iterator<Item = &VerifierKey> {
        std::iter::once(&self.own).chain(&self.others)
    }

    /// Whether one of them has signed the checkpoint of the head.
    pub(crate) fn have_signed(&self, head: &HeadRow) -> bool {
        head.origin == self.own.name() && self.signed(&head.note, head.size, head.root)
    }

    /// Whether one of them has signed a cosigned checkpoint.
    pub(crate) fn have_signed_row(&self, row: &CheckpointRow) -> bool {
        self.signed(&row.note, row.size, row.root)
    }

    /// Whether one of them has signed `note`, which is a checkpoint of this size and root.
    pub(crate) fn signed(&self, note: &str, size: u64, root: Hash) -> bool {
        let Ok(signed) = note.parse::<SignedCheckpoint>() else { return false };
        let is_so = |key| {
            signed.verify(key).is_ok_and(|checkpoint| (checkpoint.size, checkpoint.root) == (size, root))
        };
        self.all().any(is_so)
    }

    /// The note with the lines of these keys and no others.
    pub(crate) fn own_lines(&self, note: &str) -> Result<String, Error> {
        let note: Note = note.parse()?;
        let mut own = Note::unsigned(note.text().to_owned())?;
        self.all().flat_map(|key| note.lines_of(key)).for_each(|line| own.push(line.clone()));
        Ok(own.to_string())
    }

    /// Guards made under any of these keys are this log's.
    pub(crate) fn identities(&self) -> Vec<Hash> {
        self.all().map(identity).collect()
    }

    /// What signs from here on: the log's key, and the one that it changes to.
    pub(crate) fn signer(&self, options: &Options) -> Result<Result<Signer, ReadOnly>, OpenError> {
        let expected = || self.own.to_string();
        let path = options.key_path();
        let Some(signer) = Signer::read(&path)? else {
            return Ok(Err(ReadOnly::KeyMissing { path }));
        };
        if signer.verifiers().iter().any(|key| !self.all().any(|known| known == key)) {
            return Err(OpenError::OtherKey { path, expected: expected() });
        }
        let Some(path) = options.next_key_file.clone() else { return Ok(Ok(signer)) };
        let Some(next) = Signer::read(&path)? else {
            return Ok(Err(ReadOnly::KeyMissing { path }));
        };
        let suits =
            |key: &VerifierKey| key.name() == self.own.name() && key.algorithm() == KeyAlgorithm::Ed25519;
        if !next.verifiers().iter().all(suits) {
            return Err(OpenError::OtherKey { path, expected: expected() });
        }
        Ok(Ok(signer.and(next)))
    }

    /// Makes the first key of `signer` the one that the log goes by, remembers all, and adds their signatures to the
    /// checkpoint of the head where they are missing. The tree that is signed stays the same.
    pub(crate) fn adopt(
        &mut self,
        connection: &Connection,
        head: &mut HeadRow,
        signer: &Signer,
    ) -> Result<(), Error> {
        let signing = signer.verifiers();
        let Some(first) = signing.first() else { return Ok(()) };
        let note: Note = head.note.parse()?;
        let known = signing.iter().all(|key| self.all().any(|known| known == key));
        if *first == self.own && known && signing.iter().all(|key| note.verify(key).is_ok()) {
            return Ok(());
        }
        let mut others: Vec<VerifierKey> = Vec::new();
        for key in self.all().chain(&signing).filter(|key| *key != first) {
            if !others.contains(key) {
                others.push(key.clone());
            }
        }
        *self = Self { own: first.clone(), others };
        let mut signed: Note = signer.note(head.size, head.root)?.parse()?;
        let retired = self.all().filter(|key| !signing.contains(key));
        retired.flat_map(|key| note.lines_of(key)).for_each(|line| signed.push(line.clone()));
        (head.note, head.vkey) = (signed.to_string(), self.own.to_string());
        tracing::warn!(key = %self.own, others = self.others.len(), "the keys of the log have changed");
        let others: Vec<String> = self.others.iter().map(ToString::to_string).collect();
        store::change_keys(connection, head, &others).doing("store the keys of the log")
    }
}

/// SHA-256 of a verifier key: which log a guard belongs to.
pub(crate) fn identity(verifier: &VerifierKey) -> Hash {
    Hash::of(verifier.to_string())
}
