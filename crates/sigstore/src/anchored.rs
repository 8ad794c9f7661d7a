//! What was logged about a checkpoint, checked again when it is loaded.

use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use sigstore_trust_root::TrustedRoot;

use crate::error::{Check, Error};
use crate::statement::checkpoint_payload;
use crate::verify::{Expected, logged, payload_of};

#[derive(Deserialize)]
struct InToto {
    predicate: Predicate,
}

#[derive(Deserialize)]
struct Predicate {
    checkpoint: String,
    origin: String,
}

/// Checks it in full; gives the checkpoint, if that is one of this log.
pub(crate) fn checkpoint(
    root: &TrustedRoot,
    expected: &Expected<'_>,
    bundle: &[u8],
    origin: &str,
) -> Result<String, Error> {
    let said: InToto = serde_json::from_slice(&payload_of(bundle)?)
        .map_err(|error| Error::failed(Check::Statement, &error))?;
    let Predicate { checkpoint, origin: of } = said.predicate;
    let logged = logged(root, expected, bundle, &Sha256::digest(&checkpoint).into())?;
    if of != origin || logged.payload != checkpoint_payload(origin, &checkpoint) {
        return Err(Error::failed(Check::Payload, &"it is about another checkpoint"));
    }
    Ok(checkpoint)
}
