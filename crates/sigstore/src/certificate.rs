//! A signing certificate by itself: an authority that is believed issued it, for whom it should, and a CT log was told.
//!
//! For what has no whole bundle: a certificate that has signed nothing yet, and one that a log holds beside an entry.

use std::time::Duration;

use jiff::Timestamp;
use rustls_pki_types::{CertificateDer, UnixTime};
use sha2::{Digest as _, Sha256};
use sigstore_crypto::{SigningScheme, SubjectAltName, parse_certificate_info};
use sigstore_trust_root::TrustedRoot;
use sigstore_types::{DerCertificate, Sha256Hash, SignatureBytes};
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage, anchor_from_trusted_cert};
use x509_cert::Certificate;
use x509_cert::der::asn1::{ObjectIdentifier, OctetString};
use x509_cert::der::{Decode as _, Encode as _};

use crate::error::{Check, Error};
use crate::identity::{Identity, Subject};

/// `id-kp-codeSigning`
const CODE_SIGNING: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x03];
/// The list of signed certificate timestamps (RFC 6962 §3.3).
const SCT_LIST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.11129.2.4.2");

/// Whose certificate this is, by its own word.
pub(crate) fn identity_in(der: &[u8]) -> Option<Identity> {
    let info = parse_certificate_info(&DerCertificate::from_bytes(der)).ok()?;
    let subject = match info.identity? {
        SubjectAltName::Email(email) => Subject::Email(email),
        SubjectAltName::Uri(uri) => Subject::Uri(uri),
        _ => return None,
    };
    Some(Identity { subject, issuer: info.issuer? })
}

/// Checks that an authority issued this certificate for `expected`, valid at `time`, and a CT log signed for it.
pub(crate) fn believed(
    root: &TrustedRoot,
    der: &[u8],
    expected: &Identity,
    time: Timestamp,
) -> Result<(), Error> {
    let issuer = issued(root, der, expected, time)?;
    in_ct_log(root, der, &issuer)
        .ok_or_else(|| wrong("its certificate has not the SCT of a log that is believed"))
}

/// The same at the beginning of its validity, for where no other time is known or to be relied on.
pub(crate) fn genuine(root: &TrustedRoot, der: &[u8], expected: &Identity) -> Result<(), Error> {
    let info = parse_certificate_info(&DerCertificate::from_bytes(der));
    believed(root, der, expected, info.map_err(|_why| wrong("its certificate is none"))?.not_before)
}

/// The same without the CT log; gives the issuer's key (SubjectPublicKeyInfo).
pub(crate) fn issued(
    root: &TrustedRoot,
    der: &[u8],
    expected: &Identity,
    time: Timestamp,
) -> Result<Vec<u8>, Error> {
    if identity_in(der).as_ref() != Some(expected) {
        return Err(wrong("its certificate is somebody else's"));
    }
    let der = CertificateDer::from(der);
    let leaf = EndEntityCert::try_from(&der).map_err(|_why| wrong("its certificate is none"))?;
    let seconds = u64::try_from(time.as_second()).map_err(|_why| wrong("its time is none"))?;
    let at = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    let mut failed = wrong("no authority that is believed was one then");
    let authorities = root
        .certificate_authorities
        .iter()
        .filter(|authority| authority.valid_for.is_none_or(|window| window.contains(time)));
    for issuer in authorities.flat_map(|authority| &authority.cert_chain.certificates) {
        let issuer = issuer.raw_bytes.as_bytes();
        let anchor = CertificateDer::from(issuer);
        let Ok(anchor) = anchor_from_trusted_cert(&anchor) else { continue };
        let usage = KeyUsage::required(CODE_SIGNING);
        // One at a time: then it is known who issued it.
        match leaf.verify_for_usage(ALL_VERIFICATION_ALGS, &[anchor], &[], at, usage, None, None) {
            Ok(_path) => return key_of(issuer).ok_or_else(|| wrong("its issuer's certificate is none")),
            Err(error) => failed = wrong(&format!("its certificate: {error}")),
        }
    }
    Err(failed)
}

fn key_of(der: &[u8]) -> Option<Vec<u8>> {
    Certificate::from_der(der).ok()?.tbs_certificate.subject_public_key_info.to_der().ok()
}

/// Whether a CT log of the trusted root signed the certificate as it was before the SCT was put into it (RFC 6962 §3.2).
fn in_ct_log(root: &TrustedRoot, der: &[u8], issuer: &[u8]) -> Option<()> {
    let mut certificate = Certificate::from_der(der).ok()?.tbs_certificate;
    let (lists, others): (Vec<_>, Vec<_>) =
        certificate.extensions.take()?.into_iter().partition(|extension| extension.extn_id == SCT_LIST);
    let [list] = lists.as_slice() else { return None };
    let list = OctetString::from_der(list.extn_value.as_bytes()).ok()?;
    let sct = Sct::only_one(list.as_bytes())?;
    certificate.extensions = Some(others);
    let before = certificate.to_der().ok()?;
    let length = u32::try_from(before.len()).ok()?.to_be_bytes();
    // Version 1, a certificate's timestamp; then the time, and "precertificate".
    let mut signed = vec![0, 0];
    signed.extend_from_slice(&sct.time.to_be_bytes());
    signed.extend_from_slice(&[0, 1]);
    signed.extend_from_slice(&Sha256::digest(issuer));
    signed.extend_from_slice(length.get(1..)?);
    signed.extend_from_slice(&before);
    signed.extend_from_slice(&u16::try_from(sct.extensions.len()).ok()?.to_be_bytes());
    signed.extend_from_slice(sct.extensions);
    let time = Timestamp::from_millisecond(i64::try_from(sct.time).ok()?).ok()?;
    let keys = root.ctfe_keys(sct.scheme).ok()?;
    let signature = SignatureBytes::from_bytes(sct.signature);
    keys.verify_with_key_id_at(&Sha256Hash::new(sct.log), time, &signed, &signature).ok()
}

struct Sct<'a> {
    log: [u8; 32],
    /// Milliseconds.
    time: u64,
    extensions: &'a [u8],
    scheme: SigningScheme,
    signature: &'a [u8],
}

impl<'a> Sct<'a> {
    /// The SCT of a list that has one: more are not accepted in a bundle either.
    fn only_one(list: &'a [u8]) -> Option<Self> {
        let rest = &mut &*list;
        let rest = &mut vector(rest).filter(|_| rest.is_empty())?;
        let sct = &mut vector(rest).filter(|_| rest.is_empty())?;
        let [0] = take(sct, 1)? else { return None };
        let log = take(sct, 32)?.try_into().ok()?;
        let time = u64::from_be_bytes(take(sct, 8)?.try_into().ok()?);
        let extensions = vector(sct)?;
        let scheme = match take(sct, 2)? {
            [4, 3] => SigningScheme::EcdsaP256Sha256,
            [5, 3] => SigningScheme::EcdsaP384Sha384,
            [4, 1] => SigningScheme::RsaPkcs1Sha256,
            [5, 1] => SigningScheme::RsaPkcs1Sha384,
            [6, 1] => SigningScheme::RsaPkcs1Sha512,
            _ => return None,
        };
        let signature = vector(sct)?;
        sct.is_empty().then_some(Self { log, time, extensions, scheme, signature })
    }
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(taken)
}

/// Bytes behind their length in two bytes.
fn vector<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = u16::from_be_bytes(take(bytes, 2)?.try_into().ok()?);
    take(bytes, usize::from(length))
}

fn wrong(why: &str) -> Error {
    Error::failed(Check::Bundle, &why)
}
