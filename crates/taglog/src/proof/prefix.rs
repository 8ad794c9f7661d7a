//! Prefix proofs: every current leaf of a repository and the place of its subtree in the map, or that it has none.
//!
//! The verifier rebuilds the subtree from the leaves themselves, so that none can be left out, added
//! or replaced. As with tag proofs, what was before is what auditors replay.

use oci::Name;
use tlog::{Hash, SignedCheckpoint, VerifierKey, base64, leaf_hash};

use super::{check_index, count, open, wrap};
use crate::{Leaf, MapValue, PrefixProof, ProofError, TagKey, root_from_prefix_proof};

const HEADER: &str = "tlogistry/prefix-proof/v1";
/// Tags that one proof holds, at most.
pub const MAX_PREFIX_TAGS: usize = 16_384;
/// Bytes of a proof, at most; so many tags with leaves as long as the grammar allows fit.
pub const MAX_PREFIX_PROOF: usize = 48 << 20;

/// What a prefix proof is put together from; all of one published checkpoint.
#[derive(Clone, Copy, Debug)]
pub struct PrefixParts<'a> {
    /// The published checkpoint with all its signatures, as text.
    pub checkpoint: &'a str,
    /// Its size.
    pub size: u64,
    /// The inclusion proof of its last leaf.
    pub inclusion: &'a [Hash],
    /// Keys in the map.
    pub count: u64,
    /// What the map says of the repository.
    pub map: &'a PrefixProof,
    /// The leaves that its entries name, in the same order.
    pub leaves: &'a [Vec<u8>],
}

/// What a prefix proof proves.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct VerifiedPrefix {
    /// The log's checkpoint, with all its signatures.
    pub checkpoint: SignedCheckpoint,
    /// Keys in the map at that size.
    pub count: u64,
    /// Every current leaf of the repository with its place in the log, in the order of the map's keys; empty: no tag of
    /// it was recorded at that size.
    pub current: Vec<(u64, Leaf)>,
}

/// Writes a prefix proof.
pub fn assemble_prefix(parts: &PrefixParts<'_>) -> String {
    let entries = parts.map.entries();
    let map = base64::encode(parts.map.bytes());
    let mut extra = format!("{HEADER}\n{}\n{map}\n{}\n", parts.count, entries.len()).into_bytes();
    for ((_, value), leaf) in entries.iter().zip(parts.leaves) {
        extra.extend_from_slice(format!("{} {}\n", value.index, leaf.len()).as_bytes());
        extra.extend_from_slice(leaf);
    }
    wrap(extra, parts.size, parts.inclusion, parts.checkpoint)
}

/// Checks a proof of all tags of `name` against the log's key.
///
/// # Errors
///
/// [`ProofError`] for anything that is not as it should be; nothing is proved then.
pub fn verify_prefix(text: &str, name: &Name, log: &VerifierKey) -> Result<VerifiedPrefix, ProofError> {
    if text.len() > MAX_PREFIX_PROOF {
        return Err(ProofError::Extra("the proof is longer than 48 MiB"));
    }
    let (proof, checkpoint) = open(text, log)?;
    let extra = proof.extra.as_deref().ok_or(ProofError::Extra("it is missing"))?;
    let mut reader = Reader(extra);
    if reader.line()? != HEADER {
        return Err(ProofError::Extra("it is not that of a prefix proof"));
    }
    let in_map = count(reader.line()?)?;
    let map = base64::decode_strict(reader.line()?)?;
    let tags = count(reader.line()?)?;
    let tags = usize::try_from(tags).ok().filter(|tags| *tags <= MAX_PREFIX_TAGS && *tags as u64 <= in_map);
    let tags = tags.ok_or(ProofError::Extra("more tags than a proof or the map holds"))?;
    let (mut entries, mut current) = (Vec::with_capacity(tags), Vec::with_capacity(tags));
    for _tag in 0..tags {
        let (index, bytes) = reader.leaf()?;
        if index == 0 || index >= proof.index {
            return Err(ProofError::Extra("a leaf's place does not fit the checkpoint"));
        }
        let leaf = Leaf::parse(bytes)?;
        entries.push((key(name, &leaf)?, MapValue { index, leaf_hash: leaf_hash(bytes) }));
        current.push((index, leaf));
    }
    if !reader.0.is_empty() {
        return Err(ProofError::Extra("it goes on after its last leaf"));
    }
    let map_root = root_from_prefix_proof(&TagKey::repository(name), &entries, &map)?;
    check_index(&proof, &checkpoint, in_map, map_root)?;
    Ok(VerifiedPrefix { checkpoint: proof.checkpoint, count: in_map, current })
}

/// The key of a current leaf, which has to be of `name`.
fn key(name: &Name, leaf: &Leaf) -> Result<TagKey, ProofError> {
    let (of, tag, _) =
        leaf.current().ok_or(ProofError::Extra("a leaf is of a kind that the map never holds"))?;
    if of != name {
        return Err(ProofError::OtherTag { found: format!("{of}:{tag}"), expected: name.to_string() });
    }
    Ok(TagKey::of(of, tag))
}

/// What is left of the extra part.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn line(&mut self) -> Result<&'a str, ProofError> {
        let cut = ProofError::Extra("it ends within a line");
        let end = self.0.iter().position(|byte| *byte == b'\n').ok_or(cut)?;
        let (line, rest) = self.0.split_at(end);
        self.0 = rest.get(1..).unwrap_or_default();
        std::str::from_utf8(line).map_err(|_encoding| ProofError::Extra("it is not text"))
    }

    fn leaf(&mut self) -> Result<(u64, &'a [u8]), ProofError> {
        let (index, length) =
            self.line()?.split_once(' ').ok_or(ProofError::Extra("a leaf without place and length"))?;
        let (index, length) = (count(index)?, count(length)?);
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let (leaf, rest) =
            self.0.split_at_checked(length).ok_or(ProofError::Extra("it ends within a leaf"))?;
        self.0 = rest;
        Ok((index, leaf))
    }
}
