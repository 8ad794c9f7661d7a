//! An auditor's cosignature.

/// What an auditor's cosignature states, besides what any cosignature does.
pub const STATEMENT: &str = "the rules U, I, L, T and G of tlogistry/v1 hold for all leaves of this tree";
