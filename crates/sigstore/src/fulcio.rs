//! Certificates for the service's identity (Fulcio v2, `POST /api/v2/signingCert`), by a signing request.
//!
//! Of a request Fulcio takes the key alone, and its own signature is the proof of possession: there is no question which
//! claim the proof has to be over. Knows no statements.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::json;
use sigstore_crypto::{CertificateInfo, parse_certificate_info};
use sigstore_types::DerCertificate;
use url::Url;

use crate::error::{Error, Service};
use crate::http::{Http, refusal};
use crate::prepared::from_pem;

/// A key and the certificate for it.
pub(crate) struct Credential {
    pub(crate) key: KeyPair,
    pub(crate) der: Vec<u8>,
    pub(crate) info: CertificateInfo,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    signed_certificate_embedded_sct: Option<Signed>,
    signed_certificate_detached_sct: Option<Signed>,
}

#[derive(Deserialize)]
struct Signed {
    chain: Chain,
}

#[derive(Deserialize)]
struct Chain {
    certificates: Vec<String>,
}

/// Asks for one with a key that was never used before.
pub(crate) async fn certificate(
    http: &Http,
    base: &Url,
    timeout: Duration,
    token: &SecretString,
) -> Result<Credential, Error> {
    let url = format!("{}/api/v2/signingCert", base.as_str().trim_end_matches('/'));
    let nonsense = |why: String| Error::Answer { service: Service::Fulcio, url: url.clone(), why };
    let ours =
        |error: rcgen::Error| Error::Settings { why: format!("no signing request can be made: {error}") };
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(ours)?;
    let request = CertificateParams::default().serialize_request(&key).and_then(|request| request.pem());
    let request = STANDARD.encode(request.map_err(ours)?);
    let answer = http
        .send(Service::Fulcio, &url, timeout, |client| {
            client.post(&url).json(&json!({
                "credentials": { "oidcIdentityToken": token.expose_secret() },
                "certificateSigningRequest": request,
            }))
        })
        .await?;
    if !matches!(answer.status, 200 | 201) {
        return Err(refusal(Service::Fulcio, &url, &answer));
    }
    let parsed: Answer = serde_json::from_slice(&answer.body).map_err(|error| nonsense(error.to_string()))?;
    let signed = parsed.signed_certificate_embedded_sct.or(parsed.signed_certificate_detached_sct);
    let first = signed.and_then(|signed| signed.chain.certificates.into_iter().next());
    let first = first.ok_or_else(|| nonsense("there is no certificate in it".to_owned()))?;
    let (_, der) = from_pem(&first).ok_or_else(|| nonsense("its certificate is not PEM".to_owned()))?;
    let info = parse_certificate_info(&DerCertificate::from_bytes(&der))
        .map_err(|error| nonsense(error.to_string()))?;
    if info.public_key.as_bytes() != spki(&key) {
        return Err(nonsense("its certificate is for another key than ours".to_owned()));
    }
    Ok(Credential { key, der, info })
}

/// SubjectPublicKeyInfo as DER.
pub(crate) fn spki(key: &KeyPair) -> Vec<u8> {
    use rcgen::PublicKeyData as _;
    key.subject_public_key_info()
}
