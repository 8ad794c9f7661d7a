//! Checking an evidence file without network: whether it shows what it says.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use taglog::Leaf;
use tlog::{
    Checkpoint, EntriesId, Hash, SignedCheckpoint, TileId, VerifierKey, leaf_hash, verify_consistency,
    verify_inclusion,
};

use super::leaves::{Facts, Shown, judge};
use super::{Evidence, Fault, File, MapClaim, RuleName, SignedLeaf};
use crate::Error;
use crate::tree::{Authenticated, edge_of};
use crate::trust::Trust;

/// What evidence is worth.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// The log's own signatures show the fault; nobody has to be believed.
    Proven,
    /// Signatures by two keys show that what they signed cannot both stand. Who holds which key, and
    /// whether one was stolen, they do not show.
    Contradiction,
    /// All that is said of signed things is true; the rest is the word of whoever wrote it down.
    Reported(&'static str),
}

/// Checks evidence against the keys that the reader trusts; `now` is the reader's clock in Unix seconds.
///
/// # Errors
///
/// [`Error::NoKey`] and [`Error::ForeignEvidence`]: anybody can make a key of any name, and sign a fault with it;
/// [`Error::NotEvidence`] when it does not show what it says.
pub fn recheck(evidence: &Evidence, trust: &Trust, now: u64) -> Result<Verdict, Error> {
    if trust.logs().is_empty() {
        return Err(Error::NoKey);
    }
    if let Some(key) = evidence.keys().find(|key| !trust.logs().contains(key)) {
        return Err(Error::ForeignEvidence { key: Box::new(key.clone()) });
    }
    shows(evidence, now)
}

/// What evidence shows to whoever knows its keys to be the logs'.
pub(crate) fn shows(evidence: &Evidence, now: u64) -> Result<Verdict, Error> {
    let log = &evidence.log;
    let verdict = match &evidence.fault {
        Fault::Fork { other_log, older, newer, root, proof } => {
            let keys = (log, other_log.as_ref());
            fork(keys, older, newer, *root, proof)
        }
        Fault::Rollback { other_log, first, later } => rollback((log, other_log.as_ref()), first, later),
        Fault::Succession { previous_log, previous, successor, leaf } => {
            succession(log, successor, leaf, previous_log, previous)
        }
        Fault::Leaf { checkpoint, rule, index, leaves, map } => {
            let written = evidence.written;
            leaf_fault(&LeafFault { log, checkpoint, rule: *rule, index: *index, leaves, map, written, now })
        }
        Fault::Files { checkpoint, files } => served_files(log, checkpoint, files),
    };
    verdict.map_err(|why| Error::NotEvidence { why })
}

/// The log's key, and that of its earlier checkpoint where it has another one.
type Keys<'a> = (&'a VerifierKey, Option<&'a VerifierKey>);

fn fork(
    (log, other_log): Keys<'_>,
    older: &SignedCheckpoint,
    newer: &SignedCheckpoint,
    root: Hash,
    proof: &[Hash],
) -> Result<Verdict, String> {
    let (older, newer) = (signed(older, other_log.unwrap_or(log))?, signed(newer, log)?);
    one_log(older, newer)?;
    verify_consistency(older.size, root, newer.size, newer.root, proof)
        .map_err(|error| format!("it does not show how the larger tree begins: {error}"))?;
    if root == older.root {
        return Err("the larger tree begins with the smaller one".to_owned());
    }
    Ok(if other_log.is_none() { Verdict::Proven } else { Verdict::Contradiction })
}

fn rollback(
    (log, other_log): Keys<'_>,
    first: &SignedCheckpoint,
    later: &SignedCheckpoint,
) -> Result<Verdict, String> {
    let (first, later) = (signed(first, other_log.unwrap_or(log))?, signed(later, log)?);
    one_log(first, later)?;
    if later.size >= first.size {
        return Err("the tree that was served later is not smaller".to_owned());
    }
    Ok(Verdict::Reported("the log signed both; in which order it served them is the word of the witness"))
}

fn succession(
    log: &VerifierKey,
    successor: &SignedCheckpoint,
    leaf: &SignedLeaf,
    previous_log: &VerifierKey,
    previous: &SignedCheckpoint,
) -> Result<Verdict, String> {
    let (successor, previous) = (signed(successor, log)?, signed(previous, previous_log)?);
    included(leaf, successor)?;
    let Ok(Leaf::Log { previous: Some(said), .. }) = Leaf::parse(&leaf.leaf) else {
        return Err("the leaf names no log before it".to_owned());
    };
    if leaf.index != 0 || said.origin != previous_log.name() {
        return Err("the leaf does not continue that log".to_owned());
    }
    let drops = said.size < previous.size;
    let differs = said.size == previous.size && said.root != previous.root;
    if drops || differs {
        Ok(Verdict::Contradiction)
    } else {
        Err("the successor continues that log".to_owned())
    }
}

struct LeafFault<'a> {
    log: &'a VerifierKey,
    checkpoint: &'a SignedCheckpoint,
    rule: RuleName,
    index: u64,
    leaves: &'a [SignedLeaf],
    map: &'a [MapClaim],
    written: u64,
    now: u64,
}

fn leaf_fault(fault: &LeafFault<'_>) -> Result<Verdict, String> {
    let checkpoint = signed(fault.checkpoint, fault.log)?;
    let mut leaves = BTreeMap::new();
    for leaf in fault.leaves {
        included(leaf, checkpoint)?;
        leaves.insert(leaf.index, leaf.leaf.as_slice());
    }
    if checkpoint.size > 0 && !leaves.contains_key(&fault.index) {
        return Err("the leaf in question is missing".to_owned());
    }
    let facts = Facts {
        rule: fault.rule,
        index: fault.index,
        leaves: &leaves,
        map: fault.map,
        size: checkpoint.size,
        written: fault.written,
        now: fault.now,
    };
    match judge(&facts) {
        Shown::Broken => Ok(Verdict::Proven),
        Shown::Kept => Err(format!("leaf {} does not break rule {}", fault.index, fault.rule)),
        Shown::Unknown if fault.rule == RuleName::T => {
            Ok(Verdict::Reported("the leaf is in the signed tree; its time was ahead of the witness's clock"))
        }
        Shown::Unknown => Ok(Verdict::Reported(
            "the leaf is in the signed tree; only a replay of all leaves shows the fault",
        )),
    }
}

fn served_files(log: &VerifierKey, checkpoint: &SignedCheckpoint, files: &[File]) -> Result<Verdict, String> {
    let checkpoint = signed(checkpoint, log)?;
    let verdict = Verdict::Reported(
        "the file does not belong to the signed tree; who served it is the word of the witness",
    );
    let bytes = |file: &File| Bytes::copy_from_slice(&file.bytes);
    let edge: Vec<TileId> = edge_of(checkpoint.size).collect();
    let mut tiles = Vec::new();
    for id in &edge {
        let path = id.to_string();
        let file = files.iter().find(|file| file.path == path);
        tiles
            .push(bytes(file.ok_or_else(|| format!("`{path}` is missing, without which nothing is shown"))?));
    }
    let mut tree = match Authenticated::new(checkpoint, tiles) {
        Ok(tree) => tree,
        Err(_contradiction) => return Ok(verdict),
    };
    for file in files {
        let judged = if let Ok(id) = file.path.parse::<TileId>() {
            if edge.contains(&id) {
                continue;
            }
            tree.admit(id, &bytes(file))
        } else if let Ok(id) = file.path.parse::<EntriesId>() {
            tree.check(id, &file.bytes)
        } else {
            return Err(format!("`{}` is no file of a log", file.path));
        };
        match judged {
            Some(Ok(())) => {}
            Some(Err(_contradiction)) => return Ok(verdict),
            None => return Err(format!("what `{}` belongs to is missing", file.path)),
        }
    }
    Err("all files belong to the signed tree".to_owned())
}

fn signed<'a>(note: &'a SignedCheckpoint, log: &VerifierKey) -> Result<&'a Checkpoint, String> {
    note.verify(log).map_err(|error| error.to_string())
}

fn one_log(a: &Checkpoint, b: &Checkpoint) -> Result<(), String> {
    if a.origin == b.origin { Ok(()) } else { Err("the checkpoints are of two logs".to_owned()) }
}

fn included(leaf: &SignedLeaf, checkpoint: &Checkpoint) -> Result<(), String> {
    let hash = leaf_hash(&leaf.leaf);
    verify_inclusion(leaf.index, checkpoint.size, hash, checkpoint.root, &leaf.proof)
        .map_err(|error| format!("leaf {} is not in the signed tree: {error}", leaf.index))
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Proven => f.write_str("proven by the log's own signatures"),
            Self::Contradiction => f.write_str(
                "proven by the signatures of two keys that what they signed cannot both stand; which of the two is at fault, or was stolen, they do not show",
            ),
            Self::Reported(what) => write!(f, "reported: {what}"),
        }
    }
}
