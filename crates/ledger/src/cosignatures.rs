//! Cosignatures: which lines are believed, and whether they are enough. A line counts only once it verified with a key
//! of the policies, when it comes in and whenever it is read back. It must not know who is asked for them, or when.

use rusqlite::Connection;
use tlog::{Checkpoint, Note, Policy, SignatureLine, VerifierKey, verify_cosignature};

use crate::error::Error;
use crate::store::{self, CheckpointRow};

/// Lines of one answer that are looked at.
const MOST_LINES: usize = 64;

/// What became of cosignatures that were handed in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cosigned {
    /// Lines that verified; they are durable. A newer line of a cosigner takes the place of its older one.
    pub added: usize,
    /// Lines of keys that no policy names; ignored.
    pub unknown: usize,
    /// Cosigners one of whose lines did not verify; such a line is not kept.
    pub refused: Vec<String>,
}

/// A line that verified.
#[derive(Clone, Debug)]
pub(crate) struct Cosignature {
    /// Unix seconds, by the cosigner's clock.
    pub(crate) time: u64,
    pub(crate) line: SignatureLine,
}

impl Cosignature {
    /// Name and key id of the cosigner, as the line has them.
    pub(crate) fn cosigner(&self) -> String {
        format!("{}+{:08x}", self.line.name(), u32::from_be_bytes(self.line.id()))
    }

    fn is_of(&self, key: &VerifierKey) -> bool {
        self.line.name() == key.name() && self.line.id() == key.id()
    }
}

/// Sorts `lines` over `checkpoint` into those that verify with one of `cosigners`, and the others.
pub(crate) fn verify(
    checkpoint: &Checkpoint,
    lines: &[SignatureLine],
    cosigners: &[VerifierKey],
) -> Result<(Vec<Cosignature>, Cosigned), Error> {
    let (mut good, mut outcome) = (Vec::new(), Cosigned::default());
    for line in lines.iter().take(MOST_LINES) {
        let of = |key: &&VerifierKey| key.name() == line.name() && key.id() == line.id();
        let Some(key) = cosigners.iter().find(of) else {
            outcome.unknown += 1;
            continue;
        };
        let mut note = Note::unsigned(checkpoint.to_string())?;
        note.push(line.clone());
        match verify_cosignature(&note, key) {
            Ok(time) => good.push(Cosignature { time, line: line.clone() }),
            Err(_) => outcome.refused.push(key.name().to_owned()),
        }
    }
    outcome.added = good.len();
    Ok((good, outcome))
}

/// The stored cosignatures of `row` that verify; others are left out, and `fsck` finds them.
pub(crate) fn of_checkpoint(
    connection: &Connection,
    origin: &str,
    row: &CheckpointRow,
    cosigners: &[VerifierKey],
) -> Result<Vec<Cosignature>, Error> {
    let checkpoint = Checkpoint { origin: origin.to_owned(), size: row.size, root: row.root };
    let stored = store::cosignatures(connection, row.size)?;
    let lines = parsed(&stored);
    let (good, outcome) = verify(&checkpoint, &lines, cosigners)?;
    if lines.len() < stored.len() || !outcome.refused.is_empty() {
        let (size, refused) = (row.size, outcome.refused);
        tracing::error!(size, ?refused, "stored cosignatures do not verify and are left out");
    }
    Ok(good)
}

/// Whether the lines stored for `size` would be enough for `policy` if all of them verified; cheap to ask.
pub(crate) fn may_satisfy(connection: &Connection, policy: &Policy, size: u64) -> Result<bool, Error> {
    let lines = parsed(&store::cosignatures(connection, size)?);
    let claimed: Vec<Cosignature> = lines.into_iter().map(|line| Cosignature { time: 0, line }).collect();
    Ok(satisfy(policy, &claimed))
}

fn parsed(lines: &[String]) -> Vec<SignatureLine> {
    lines.iter().filter_map(|line| line.parse().ok()).collect()
}

/// Whether `cosignatures` are enough for `policy`.
pub(crate) fn satisfy(policy: &Policy, cosignatures: &[Cosignature]) -> bool {
    let there = |key: &VerifierKey| cosignatures.iter().any(|cosignature| cosignature.is_of(key));
    let names = policy.witnesses().filter(|(_, key, _)| there(key)).map(|(name, _, _)| name);
    policy.is_satisfied_by(&names.collect())
}

/// The lines alone, as a note carries them.
pub(crate) fn lines(cosignatures: &[Cosignature]) -> Vec<SignatureLine> {
    cosignatures.iter().map(|cosignature| cosignature.line.clone()).collect()
}
