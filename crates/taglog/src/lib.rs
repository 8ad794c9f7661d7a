//! The tag log: leaf grammar, tag map, tag and prefix proofs, and the rules that an auditor replays.
//!
//! Pure: server, verifier and auditor run this same code. No I/O, no clock, no registries.

#![forbid(unsafe_code)]

mod error;
mod key;
mod leaf;
mod map;
mod proof;
mod rules;

pub use self::error::{LeafError, ProofError};
pub use self::key::TagKey;
pub use self::leaf::{Leaf, MAX_LEAF, Previous, Reason, Record, SupersedeRule};
pub use self::map::{
    MapProof, MapValue, PrefixProof, TagMap, TooManyTags, root_from_prefix_proof, root_from_proof,
};
pub use self::proof::{
    MAX_PREFIX_PROOF, MAX_PREFIX_TAGS, PrefixParts, ProofParts, Verified, VerifiedPrefix, assemble,
    assemble_prefix, verify, verify_prefix,
};
pub use self::rules::{Broken, FUTURE, MAX_BATCH, Replay, Rule};
