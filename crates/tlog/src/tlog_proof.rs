//! The proof of one leaf as a file (C2SP tlog-proof@v1): extra data, index, hashes, checkpoint.
//!
//! Only a container: what the leaf is, and who must have signed, is the caller's matter.

use std::fmt;
use std::str::FromStr;

use crate::{Error, Hash, SignedCheckpoint, base64, decimal};

const HEADER: &str = "c2sp.org/tlog-proof@v1";
const FORMAT: &str = "tlog-proof";
/// Hashes on the way to a root of 2^64 leaves.
const MAX_HASHES: usize = 64;

/// A parsed proof; nothing is verified yet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TlogProof {
    /// Data of the application, covered by no signature.
    pub extra: Option<Vec<u8>>,
    /// Of the leaf.
    pub index: u64,
    /// The leaf's sibling first.
    pub hashes: Vec<Hash>,
    /// The checkpoint that the proof leads to, with all its signatures.
    pub checkpoint: SignedCheckpoint,
}

impl FromStr for TlogProof {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = |why: &str| Error::format(FORMAT, why);
        let (head, checkpoint) =
            text.split_once("\n\n").ok_or_else(|| wrong("no empty line before the checkpoint"))?;
        let mut lines = head.split('\n').peekable();
        if lines.next() != Some(HEADER) {
            return Err(wrong("the first line is not `c2sp.org/tlog-proof@v1`"));
        }
        let extra = lines.next_if(|line| line.starts_with("extra "));
        let extra =
            extra.and_then(|line| line.strip_prefix("extra ")).map(base64::decode_strict).transpose()?;
        let index = lines.next().and_then(|line| line.strip_prefix("index ")).and_then(decimal);
        let index = index.ok_or_else(|| wrong("no `index` line"))?;
        let hashes = lines.map(Hash::from_base64).collect::<Result<Vec<_>, _>>()?;
        if hashes.len() > MAX_HASHES {
            return Err(wrong("more hashes than any tree has levels"));
        }
        Ok(Self { extra, index, hashes, checkpoint: checkpoint.parse()? })
    }
}

impl fmt::Display for TlogProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}")?;
        if let Some(extra) = &self.extra {
            writeln!(f, "extra {}", base64::encode(extra))?;
        }
        writeln!(f, "index {}", self.index)?;
        self.hashes.iter().try_for_each(|hash| writeln!(f, "{hash}"))?;
        write!(f, "\n{}", self.checkpoint)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Checkpoint, KeyAlgorithm, SigningKey};

    fn proof(extra: Option<Vec<u8>>, index: u64, hashes: Vec<[u8; 32]>) -> TlogProof {
        let key = SigningKey::from_seed("a/log", KeyAlgorithm::Ed25519, &[1; 32]).unwrap();
        let checkpoint =
            Checkpoint { origin: "a/log".to_owned(), size: 9, root: Hash::EMPTY }.sign(&key).unwrap();
        TlogProof { extra, index, hashes: hashes.into_iter().map(Hash::from_bytes).collect(), checkpoint }
    }

    #[test]
    fn what_is_not_a_proof_is_refused() {
        let good = proof(Some(vec![1]), 3, vec![[2; 32]]).to_string();
        assert!(good.parse::<TlogProof>().is_ok());
        for (from, to) in [
            ("@v1", "@v2"),
            ("index 3", "index 03"),
            ("index 3\n", ""),
            ("extra AQ==", "extra AQ"),
            ("AgIC", "AgI"),
            ("\n\n", "\n"),
            ("index 3\n", "index 3\nextra AQ==\n"),
        ] {
            assert!(good.replacen(from, to, 1).parse::<TlogProof>().is_err(), "{from}");
        }
    }

    proptest! {
        #[test]
        fn parsing_and_printing_are_inverse(extra: Option<Vec<u8>>, index: u64, hashes in prop::collection::vec(any::<[u8; 32]>(), 0..40)) {
            let proof = proof(extra, index, hashes);
            prop_assert_eq!(proof.to_string().parse::<TlogProof>().unwrap(), proof);
        }
    }
}
