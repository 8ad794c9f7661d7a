//! RFC 6962 trees and the C2SP formats around them: tiles, notes, checkpoints, cosignatures, proofs.
//!
//! Pure: bytes and numbers in, bytes and verdicts out. No I/O, no clock, no randomness, and nothing
//! of what the leaves mean.

#![forbid(unsafe_code)]

mod add_checkpoint;
pub mod base64;
mod checkpoint;
mod cosignature;
mod error;
mod frontier;
mod hash;
mod key;
mod note;
mod number;
mod policy;
mod proof;
mod tile;
mod tlog_proof;

pub use self::add_checkpoint::AddCheckpoint;
pub use self::checkpoint::{Checkpoint, SignedCheckpoint};
pub use self::cosignature::{cosign, verify_cosignature};
pub use self::error::Error;
pub use self::frontier::{Frontier, inclusion_proof_of_next};
pub use self::hash::{Hash, leaf_hash, node_hash};
pub use self::key::{KeyAlgorithm, SigningKey, VerifierKey};
pub use self::note::{Note, SignatureLine};
pub use self::number::decimal;
pub use self::policy::{Policy, Quorum};
pub use self::proof::{
    Node, prove_consistency, prove_inclusion, root_from_inclusion, verify_consistency, verify_inclusion,
};
pub use self::tile::{
    EntriesId, MAX_ENTRY, TILE_WIDTH, TileId, decode_entries, encode_entry, node_in_tile, tiles_of_size,
};
pub use self::tlog_proof::TlogProof;
