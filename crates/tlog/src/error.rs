//! Everything that can be wrong with what another party hands us.
//!
//! One enum for the crate; every variant names the thing and where it stops being right.

/// Why bytes are not what they claim to be, or do not prove what they should.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Error {
    /// Base64 that is not the one spelling of its bytes.
    #[error("`{0}` is not base64 in its one spelling")]
    Base64(String),
    /// Bytes of another length than the format's.
    #[error("{what} is {found} bytes long and has to be {expected}")]
    Length {
        /// What the bytes are.
        what: &'static str,
        /// Their length.
        found: usize,
        /// The format's.
        expected: usize,
    },
    /// A text that does not follow its format.
    #[error("{format}: {why}")]
    Format {
        /// Which format.
        format: &'static str,
        /// What is not as it says.
        why: String,
    },
    /// A path that names no tile.
    #[error("`{0}` is not the path of a tile")]
    TilePath(String),
    /// A leaf or size outside the tree.
    #[error("index {index} is outside a tree of {size} leaves")]
    OutsideTree {
        /// What was asked for.
        index: u64,
        /// The tree's size.
        size: u64,
    },
    /// A proof with too few or too many hashes.
    #[error("the proof has {found} hashes, which is too {}", if *.too_many { "many" } else { "few" })]
    ProofLength {
        /// How many it has.
        found: usize,
        /// Otherwise too few.
        too_many: bool,
    },
    /// A proof that leads to another root.
    #[error("the proof leads to root {computed} and not to {expected}")]
    RootMismatch {
        /// By the proof.
        computed: crate::Hash,
        /// By the checkpoint.
        expected: crate::Hash,
    },
    /// A signature of a known key that does not verify.
    #[error("the signature of `{key}` does not verify")]
    BadSignature {
        /// The key's name.
        key: String,
    },
    /// No signature of any key that we know.
    #[error("the note is not signed by `{key}`")]
    NotSigned {
        /// The key's name.
        key: String,
    },
    /// A checkpoint of another log.
    #[error("the checkpoint is of log `{found}`, expected `{expected}`")]
    Origin {
        /// Whose it is.
        found: String,
        /// Whose it should be.
        expected: String,
    },
}

impl Error {
    /// A text that does not follow `format`.
    pub(crate) fn format(format: &'static str, why: impl Into<String>) -> Self {
        Self::Format { format, why: why.into() }
    }
}
