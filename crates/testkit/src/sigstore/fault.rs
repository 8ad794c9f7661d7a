//! What can be wrong. Knows not where it is looked at.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Something that a service does wrong from now on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// Fulcio: no SCT.
    NoSct,
    /// Fulcio: an SCT that the CT log did not sign.
    ForeignSct,
    /// Fulcio: another issuer in the certificate.
    OtherIssuer,
    /// Fulcio: another address in the certificate.
    OtherIdentity,
    /// Fulcio: a URI of the same text instead of an address.
    OtherKind,
    /// Fulcio: a certificate of an authority that nobody believes.
    OtherChain,
    /// Fulcio: a certificate for another key.
    OtherKey,
    /// Rekor: the index names nothing.
    IndexLoses,
    /// Rekor: the index names every entry for every question.
    IndexLies,
    /// Rekor: the index does not know `operator`.
    IndexAlone,
    /// Rekor: there is no index.
    NoIndex,
    /// Rekor: signed entry timestamps of another key.
    ForeignSet,
    /// Rekor: the time is not the one that was signed.
    OtherTime,
    /// Rekor: checkpoints of another key.
    ForeignCheckpoint,
    /// Rekor: checkpoints of another tree of the same log.
    OtherTree,
    /// Rekor: another history from its first entry on, with everything signed as it should be.
    Forked,
    /// Rekor: proofs that lead elsewhere.
    WrongProof,
    /// Rekor: another entry than the one that was asked for.
    OtherEntry,
    /// Rekor: a body that is not the leaf's.
    AlteredBody,
    /// Rekor: another attestation beside an entry.
    SwappedAttestation,
    /// Rekor: no attestations.
    NoAttestation,
    /// Rekor: the next so many requests are answered with 503.
    Unavailable(u32),
    /// Rekor: the next entry is logged, and the answer never comes.
    LostAnswer,
    /// Rekor: answers of two megabytes.
    Oversized,
    /// Rekor: what nobody asked for in its answers, and thousands of signatures of strangers under its checkpoints.
    Verbose,
    /// Timestamp authority: another key.
    ForeignTimestamp,
    /// Timestamp authority: over something else.
    OtherImprint,
    /// Timestamp authority: an hour later.
    LateTimestamp,
    /// Rekor v2: the shard takes nothing more.
    Frozen,
    /// TUF: no answer.
    NoTrust,
    /// TUF: what is published from now on is signed by another key.
    ForeignTrust,
}

/// All that are wrong now.
#[derive(Debug, Default)]
pub(super) struct Faults(Mutex<Vec<Fault>>);

impl Faults {
    pub(super) fn add(&self, fault: Fault) {
        self.lock().push(fault);
    }

    pub(super) fn clear(&self) {
        self.lock().clear();
    }

    pub(super) fn has(&self, fault: Fault) -> bool {
        self.lock().contains(&fault)
    }

    /// Once only.
    pub(super) fn take(&self, fault: Fault) -> bool {
        let mut faults = self.lock();
        let place = faults.iter().position(|there| *there == fault);
        place.map(|place| faults.remove(place)).is_some()
    }

    /// Counts down.
    pub(super) fn unavailable(&self) -> bool {
        let mut faults = self.lock();
        let found = faults.iter_mut().find_map(|fault| match fault {
            Fault::Unavailable(left) if *left > 0 => Some(left),
            _ => None,
        });
        found.map(|left| *left -= 1).is_some()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Fault>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
