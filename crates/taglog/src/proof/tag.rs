//! Tag proofs: the tag's leaf and its place in the map.
//!
//! A proof shows what the map says of a tag at one size. That the tag never had another value is
//! what auditors replay.

use oci::TagName;
use tlog::{Hash, SignedCheckpoint, VerifierKey, base64, leaf_hash};

use super::{check_index, count, open, wrap};
use crate::{Leaf, MapProof, MapValue, ProofError, TagKey, root_from_proof};

const HEADER: &str = "tlogistry/tag-proof/v1";

/// What a proof is put together from; all of one published checkpoint.
#[derive(Clone, Copy, Debug)]
pub struct ProofParts<'a> {
    /// The published checkpoint with all its signatures, as text.
    pub checkpoint: &'a str,
    /// Its size.
    pub size: u64,
    /// The inclusion proof of its last leaf.
    pub inclusion: &'a [Hash],
    /// Keys in the map.
    pub count: u64,
    /// What the map says of the tag.
    pub map: &'a MapProof,
    /// The tag's current leaf, where the map has one.
    pub leaf: Option<&'a [u8]>,
}

/// What a proof proves.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Verified {
    /// The log's checkpoint, with all its signatures.
    pub checkpoint: SignedCheckpoint,
    /// Keys in the map at that size.
    pub count: u64,
    /// The tag's current leaf and its place in the log; `None`: never recorded at that size.
    ///
    /// Whether a `supersede` or `thaw` is acceptable is the caller's decision.
    pub current: Option<(u64, Leaf)>,
}

/// Writes a proof.
pub fn assemble(parts: &ProofParts<'_>) -> String {
    let mut map = Vec::new();
    if let Some(value) = parts.map.value() {
        map.extend_from_slice(&value.index.to_be_bytes());
    }
    map.extend_from_slice(parts.map.bytes());
    let leaf = parts.leaf.map_or_else(|| "-".to_owned(), base64::encode);
    let extra = format!("{HEADER}\n{}\n{leaf}\n{}\n", parts.count, base64::encode(map));
    wrap(extra, parts.size, parts.inclusion, parts.checkpoint)
}

/// Checks a proof of `tag` against the log's key.
///
/// # Errors
///
/// [`ProofError`] for anything that is not as it should be; nothing is proved then.
pub fn verify(text: &str, tag: &TagName, log: &VerifierKey) -> Result<Verified, ProofError> {
    let (proof, checkpoint) = open(text, log)?;
    let extra = Extra::parse(proof.extra.as_deref().ok_or(ProofError::Extra("it is missing"))?)?;
    let key = TagKey::of(&tag.name, &tag.tag);
    let (map_root, current) = match &extra.leaf {
        None => (root_from_proof(key.as_bytes(), None, &extra.map)?, None),
        Some(bytes) => {
            let (root, index, leaf) = present(tag, &key, bytes, &extra.map)?;
            if index == 0 || index >= proof.index || extra.count == 0 {
                return Err(ProofError::Extra("the leaf's place does not fit the checkpoint"));
            }
            (root, Some((index, leaf)))
        }
    };
    check_index(&proof, &checkpoint, extra.count, map_root)?;
    Ok(Verified { checkpoint: proof.checkpoint, count: extra.count, current })
}

/// Root of the map, place and content of a leaf that is there.
fn present(tag: &TagName, key: &TagKey, bytes: &[u8], map: &[u8]) -> Result<(Hash, u64, Leaf), ProofError> {
    let leaf = Leaf::parse(bytes)?;
    let (name, of, _) =
        leaf.current().ok_or(ProofError::Extra("the leaf is of a kind that the map never holds"))?;
    if (name, of) != (&tag.name, &tag.tag) {
        return Err(ProofError::OtherTag { found: format!("{name}:{of}"), expected: tag.to_string() });
    }
    let (index, path) =
        map.split_first_chunk::<8>().ok_or(ProofError::Map("it ends within the leaf's place"))?;
    let index = u64::from_be_bytes(*index);
    let value = MapValue { index, leaf_hash: leaf_hash(bytes) };
    let root = root_from_proof(key.as_bytes(), Some(&value.to_bytes()), path)?;
    Ok((root, index, leaf))
}

struct Extra {
    count: u64,
    leaf: Option<Vec<u8>>,
    map: Vec<u8>,
}

impl Extra {
    fn parse(bytes: &[u8]) -> Result<Self, ProofError> {
        let text = std::str::from_utf8(bytes).map_err(|_encoding| ProofError::Extra("it is not text"))?;
        let lines: Vec<&str> = text.split('\n').collect();
        let [HEADER, count, leaf, map, ""] = lines.as_slice() else {
            return Err(ProofError::Extra("not the four lines of a tag proof"));
        };
        let leaf = if *leaf == "-" { None } else { Some(base64::decode_strict(leaf)?) };
        Ok(Self { count: self::count(count)?, leaf, map: base64::decode_strict(map)? })
    }
}
