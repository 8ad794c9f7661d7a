//! Proofs as files: a C2SP tlog-proof of a checkpoint's last leaf, which is an `index` leaf, with
//! what the map says as `extra`.
//!
//! What tag and prefix proofs share stands here; the map's own bytes are `map`'s matter.

mod prefix;
mod tag;

use tlog::{Checkpoint, Hash, TlogProof, VerifierKey, base64, leaf_hash, verify_inclusion};

pub use self::prefix::{
    MAX_PREFIX_PROOF, MAX_PREFIX_TAGS, PrefixParts, VerifiedPrefix, assemble_prefix, verify_prefix,
};
pub use self::tag::{ProofParts, Verified, assemble, verify};
use crate::{Leaf, ProofError};

/// Digits of a count that fits `i64`.
const COUNT_DIGITS: usize = 18;

/// Parses a proof whose checkpoint the log signed and whose leaf is the last one (rule L).
fn open(text: &str, log: &VerifierKey) -> Result<(TlogProof, Checkpoint), ProofError> {
    let proof: TlogProof = text.parse()?;
    let checkpoint = proof.checkpoint.verify(log)?.clone();
    if checkpoint.size < 2 || proof.index != checkpoint.size - 1 {
        return Err(ProofError::NotLast { index: proof.index, size: checkpoint.size });
    }
    Ok((proof, checkpoint))
}

/// Checks that the proved leaf is the index of a map of `count` keys and this root.
fn check_index(
    proof: &TlogProof,
    checkpoint: &Checkpoint,
    count: u64,
    map_root: Hash,
) -> Result<(), ProofError> {
    let index_leaf = Leaf::Index { index: proof.index, count, root: map_root };
    let hash = leaf_hash(&index_leaf.to_bytes());
    Ok(verify_inclusion(proof.index, checkpoint.size, hash, checkpoint.root, &proof.hashes)?)
}

/// Writes the container of `extra` around a published checkpoint of `size`.
fn wrap(extra: impl AsRef<[u8]>, size: u64, inclusion: &[Hash], checkpoint: &str) -> String {
    let index = size.saturating_sub(1);
    let mut text = format!("c2sp.org/tlog-proof@v1\nextra {}\nindex {index}\n", base64::encode(extra));
    for hash in inclusion {
        text.push_str(&hash.to_string());
        text.push('\n');
    }
    text.push('\n');
    text.push_str(checkpoint);
    text
}

/// A count in its one spelling.
fn count(text: &str) -> Result<u64, ProofError> {
    let number = tlog::decimal(text).filter(|_| text.len() <= COUNT_DIGITS);
    number.ok_or(ProofError::Extra("a count is not a number in its one spelling"))
}
