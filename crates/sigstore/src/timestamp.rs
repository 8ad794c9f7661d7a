//! Timestamps over signatures (RFC 3161): the question, and the answer as bytes.
//!
//! The answer is checked before anything that it is for is logged, and with the whole record once more. It is over a
//! signature that nobody else made, so an older answer cannot be passed off for it, and the question has no nonce.

use std::time::Duration;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use sigstore_trust_root::TrustedRoot;
use sigstore_types::{SignatureBytes, TimestampToken};
use sigstore_verify::tsa::verify_timestamp_for_authority;
use url::Url;

use crate::error::{Check, Error, Service};
use crate::http::{Http, refusal};

/// `TimeStampReq` (RFC 3161 §2.4.1) up to the hash: version 1, SHA-256.
const HEAD: [u8; 24] = [
    0x30, 0x39, 0x02, 0x01, 0x01, 0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03,
    0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20,
];
/// `certReq TRUE`
const TAIL: [u8; 3] = [0x01, 0x01, 0xff];

/// The answer over this signature.
pub(crate) async fn timestamp(
    http: &Http,
    url: &Url,
    timeout: Duration,
    signature: &[u8],
) -> Result<Vec<u8>, Error> {
    let question = question(signature);
    let answer = http
        .send(Service::Timestamp, url.as_str(), timeout, |client| {
            client
                .post(url.clone())
                .header("Content-Type", "application/timestamp-query")
                .body(question.clone())
        })
        .await?;
    if !matches!(answer.status, 200 | 201) {
        return Err(refusal(Service::Timestamp, url.as_str(), &answer));
    }
    Ok(answer.body)
}

/// The time that an authority that is believed gave to this signature.
pub(crate) fn time_of(root: &TrustedRoot, token: &[u8], signature: &[u8]) -> Result<Timestamp, Error> {
    let (token, signature) = (TimestampToken::from_bytes(token), SignatureBytes::from_bytes(signature));
    let mut failed = "no timestamp authority is believed".to_owned();
    for authority in root.tsa_authorities() {
        match verify_timestamp_for_authority(&token, &signature, &authority) {
            Ok(time) => return Ok(time),
            Err(error) => failed = error.to_string(),
        }
    }
    Err(Error::failed(Check::Bundle, &format!("its timestamp: {failed}")))
}

fn question(signature: &[u8]) -> Vec<u8> {
    [&HEAD[..], &Sha256::digest(signature), &TAIL].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_question_is_as_long_as_it_says() {
        let question = question(b"signature");
        assert_eq!(question.len(), 2 + usize::from(HEAD[1]));
        assert_eq!(question[24..56], Sha256::digest(b"signature")[..]);
    }
}
