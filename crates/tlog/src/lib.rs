//! RFC 6962 trees and the C2SP formats around them: tiles, notes, checkpoints, cosignatures, proofs.
