//! What can be wrong with a leaf or a proof that somebody hands us.

use oci::{DigestError, NameError};

/// Bytes that are no leaf of this log.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum LeafError {
    /// Longer than a bundle can hold.
    #[error("the leaf is {0} bytes long; at most 65535 fit")]
    TooLong(usize),
    /// Not lines of text.
    #[error("the leaf is not lines of printable text")]
    NotText,
    /// Lines missing or superfluous.
    #[error("a `{kind}` leaf has not {found} lines")]
    Lines {
        /// The leaf's first word.
        kind: &'static str,
        /// How many it has.
        found: usize,
    },
    /// A line that the grammar does not have.
    #[error("`{line}` is not the line that a `{kind}` leaf has there")]
    Line {
        /// The leaf's first word.
        kind: &'static str,
        /// The line.
        line: String,
    },
    /// A name or tag that is not in its one spelling.
    #[error(transparent)]
    Name(#[from] NameError),
    /// Not a sha256 digest.
    #[error(transparent)]
    Digest(#[from] DigestError),
    /// Not a reason.
    #[error("a reason is 1 to 1024 printable ASCII characters without a space at either end")]
    Reason,
}

/// A tag or prefix proof that proves nothing.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ProofError {
    /// The container, the checkpoint, its signature, or the inclusion proof.
    #[error(transparent)]
    Log(#[from] tlog::Error),
    /// The leaf that the proof carries.
    #[error(transparent)]
    Leaf(#[from] LeafError),
    /// The extra part.
    #[error("the proof's extra part is malformed: {0}")]
    Extra(&'static str),
    /// The proved leaf is not the last of its checkpoint (rule L).
    #[error("the proof is of leaf {index}, which is not the last of {size}")]
    NotLast {
        /// The leaf.
        index: u64,
        /// The checkpoint's size.
        size: u64,
    },
    /// The path through the map.
    #[error("the map proof is malformed: {0}")]
    Map(&'static str),
    /// The proof is of another tag.
    #[error("the proof is of `{found}`, not of `{expected}`")]
    OtherTag {
        /// Whose it is.
        found: String,
        /// Whose it should be.
        expected: String,
    },
}
