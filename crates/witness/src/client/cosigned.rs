//! Cosignatures out of the body of a 200: those of the configured key, checked over our checkpoint.
//!
//! Lines of other keys are ignored, a line of the configured key that does not verify is a lie.

use tlog::{Note, SignatureLine, SignedCheckpoint, verify_cosignature};

use super::SubmitError;
use crate::Witness;

/// A cosignature that verifies.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Cosigned {
    /// To be added to the checkpoint's note.
    pub line: SignatureLine,
    /// When, by the witness's clock, in Unix seconds; never 0.
    pub time: u64,
}

impl Cosigned {
    /// The newest cosignature of `witness` in the answer `text`.
    pub(super) fn parse(
        text: &str,
        witness: &Witness,
        checkpoint: &SignedCheckpoint,
    ) -> Result<Self, SubmitError> {
        let key = witness.key();
        let mut newest: Option<Self> = None;
        for line in SignatureLine::parse_lines(text).map_err(SubmitError::Garbage)? {
            if line.name() != key.name() || line.id() != key.id() {
                continue;
            }
            let mut note =
                Note::unsigned(checkpoint.note().text().to_owned()).map_err(SubmitError::Request)?;
            note.push(line.clone());
            let time = verify_cosignature(&note, key).map_err(|_why| SubmitError::Lied)?;
            if time == 0 {
                return Err(SubmitError::Lied);
            }
            if newest.as_ref().is_none_or(|known| known.time < time) {
                newest = Some(Self { line, time });
            }
        }
        newest.ok_or(SubmitError::NotCosigned)
    }
}
