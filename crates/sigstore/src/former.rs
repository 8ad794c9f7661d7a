//! Who signed before, and is still believed to have.

use sha2::{Digest as _, Sha256};

use crate::error::Error;
use crate::identity::{Identity, Subject};
use crate::prepared::from_pem;
use crate::settings::Former;
use crate::statement::hex;

/// Who signed before.
pub(crate) struct Signer {
    pub(crate) identity: Identity,
    pub(crate) key: Option<Vec<u8>>,
}

impl Signer {
    pub(crate) fn open(former: &Former) -> Result<Self, Error> {
        let path = match former {
            Former::Workload(identity) => return Ok(Self { identity: identity.clone(), key: None }),
            Former::Key(path) => path,
        };
        let wrong = |why: String| Error::File { path: path.clone(), why };
        let pem = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
        match from_pem(&pem) {
            Some((label, spki)) if label == "PUBLIC KEY" => {
                Ok(Self { identity: of_key(&spki), key: Some(spki) })
            }
            _ => Err(wrong("it holds no public key as PEM".to_owned())),
        }
    }
}

pub(crate) fn of_key(spki: &[u8]) -> Identity {
    Identity { subject: Subject::Key(hex(&Sha256::digest(spki))), issuer: String::new() }
}
