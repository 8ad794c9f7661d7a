//! The tag log: leaf grammar, tag map, tag proof, and the rules that an auditor replays.
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
pub use self::leaf::{Leaf, Previous, Reason, Record, SupersedeRule};
pub use self::map::{MapProof, MapValue, TagMap, root_from_proof};
pub use self::proof::{ProofParts, Verified, assemble, verify};
pub use self::rules::{Broken, Replay, Rule};
