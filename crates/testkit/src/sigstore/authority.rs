//! Fulcio: certificates for what a token says, with an SCT of a CT log in them (RFC 6962 §3.3).
//! Tokens are not checked: whoever reaches it is a test.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType, SerialNumber, date_time_ymd,
};
use serde_json::{Value, json};

use super::ISSUER;
use super::der::{first, split, tlv};
use super::fault::{Fault, Faults};
use super::keys::{Point, from_pem, p256, pem, sha256, sign, spki};
use super::server::{Answer, Asked};
use crate::Clock;

/// Fulcio's "issuer (v2)".
const ISSUER_OID: &[u64] = &[1, 3, 6, 1, 4, 1, 57264, 1, 8];
const SCT_OID: &[u64] = &[1, 3, 6, 1, 4, 1, 11129, 2, 4, 2];
/// Certificates are good for ten minutes.
const VALIDITY: Duration = Duration::from_secs(600);

pub(super) struct Authority {
    clock: Clock,
    faults: Arc<Faults>,
    issuer: Issuer<'static, KeyPair>,
    root: Vec<u8>,
    stranger: Issuer<'static, KeyPair>,
    ct: KeyPair,
    foreign_ct: KeyPair,
    issued: Mutex<HashMap<Vec<u8>, String>>,
}

impl Authority {
    pub(super) fn new(clock: Clock, faults: Arc<Faults>) -> Self {
        let (issuer, root) = authority();
        let (stranger, _) = authority();
        let issued = Mutex::default();
        Self { clock, faults, issuer, root, stranger, ct: p256(), foreign_ct: p256(), issued }
    }

    pub(super) fn root(&self) -> Vec<u8> {
        self.root.clone()
    }

    pub(super) fn ct_spki(&self) -> Vec<u8> {
        spki(&self.ct)
    }

    pub(super) fn ct_id(&self) -> [u8; 32] {
        sha256(&self.ct_spki())
    }

    /// The name in a certificate that was issued here.
    pub(super) fn name_in(&self, der: &[u8]) -> String {
        self.issued.lock().expect("no panic").get(der).cloned().unwrap_or_default()
    }

    pub(super) fn answer(&self, asked: &Asked) -> Option<Answer> {
        if asked.path != "/api/v2/signingCert" {
            return Answer::new(404, "");
        }
        let question: Value = serde_json::from_slice(&asked.body).ok()?;
        let token = question.pointer("/credentials/oidcIdentityToken")?.as_str()?;
        let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
        let claims: Value = serde_json::from_slice(&claims).ok()?;
        let request = STANDARD.decode(question.get("certificateSigningRequest")?.as_str()?).ok()?;
        let request = from_pem(std::str::from_utf8(&request).ok()?)?;
        let point = Point::find(&request)?;
        // The request's own signature is the proof of possession.
        let (whole, _) = split(&request);
        let (signed, rest) = first(whole);
        let (_, signature) = first(rest);
        if !point.verifies(signed, &split(signature).0[1..]) {
            return Answer::new(400, r#"{"code":3,"message":"the request is not signed by its key"}"#);
        }
        let point = if self.faults.has(Fault::OtherKey) { Point::find(&spki(&p256()))? } else { point };
        let der = self.certificate(&point, claims.get("email")?.as_str()?);
        let chain = [pem("CERTIFICATE", &der), pem("CERTIFICATE", &self.root)];
        let body = json!({ "signedCertificateEmbeddedSct": { "chain": { "certificates": chain } } });
        Answer::new(200, body.to_string())
    }

    /// A certificate as it is issued now.
    pub(super) fn certificate(&self, point: &Point, email: &str) -> Vec<u8> {
        let has = |fault| self.faults.has(fault);
        let email = if has(Fault::OtherIdentity) { "somebody@example.test" } else { email };
        let issuer = if has(Fault::OtherIssuer) { "https://other.example" } else { ISSUER };
        let by = if has(Fault::OtherChain) { &self.stranger } else { &self.issuer };
        let start =
            date_time_ymd(1970, 1, 1) + Duration::from_secs(u64::try_from(self.clock.now()).expect("a time"));
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.not_before = start;
        params.not_after = start + VALIDITY;
        params.serial_number = Some(SerialNumber::from(sha256(&point.0)[..8].to_vec()));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
        params.use_authority_key_identifier_extension = true;
        let name = email.try_into().expect("an address");
        params.subject_alt_names =
            vec![if has(Fault::OtherKind) { SanType::URI(name) } else { SanType::Rfc822Name(name) }];
        params.custom_extensions =
            vec![CustomExtension::from_oid_content(ISSUER_OID, tlv(0x0c, issuer.as_bytes()))];
        let sign_with = |params: &CertificateParams| params.signed_by(point, by).expect("a certificate");
        let mut certificate = sign_with(&params).der().to_vec();
        if !has(Fault::NoSct) {
            let (whole, _) = split(&certificate);
            let list = self.sct(first(whole).0);
            params.custom_extensions.push(CustomExtension::from_oid_content(SCT_OID, tlv(0x04, &list)));
            certificate = sign_with(&params).der().to_vec();
        }
        self.issued.lock().expect("no panic").insert(certificate.clone(), email.to_owned());
        certificate
    }

    /// The list of one SCT over a certificate that has none yet.
    fn sct(&self, tbs: &[u8]) -> Vec<u8> {
        let time = u64::try_from(self.clock.now()).expect("a time") * 1000;
        let issuer = {
            use rcgen::PublicKeyData as _;
            sha256(&self.issuer.key().subject_public_key_info())
        };
        let length = u32::try_from(tbs.len()).expect("a short certificate").to_be_bytes();
        let signed =
            [&[0, 0][..], &time.to_be_bytes(), &[0, 1], &issuer, &length[1..], tbs, &[0, 0]].concat();
        let key = if self.faults.has(Fault::ForeignSct) { &self.foreign_ct } else { &self.ct };
        let signature = sign(key, &signed);
        let short = |bytes: &[u8]| u16::try_from(bytes.len()).expect("short").to_be_bytes().to_vec();
        let sct =
            [&[0][..], &self.ct_id(), &time.to_be_bytes(), &[0, 0, 4, 3], &short(&signature), &signature]
                .concat();
        let list = [short(&sct), sct].concat();
        [short(&list), list].concat()
    }
}

fn authority() -> (Issuer<'static, KeyPair>, Vec<u8>) {
    let key = p256();
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "local");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(1));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2120, 1, 1);
    let root = params.self_signed(&key).expect("a certificate").der().to_vec();
    (Issuer::new(params, key), root)
}
