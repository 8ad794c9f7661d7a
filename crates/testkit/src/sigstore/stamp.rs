//! A timestamp authority (RFC 3161): its answer is a CMS message with its certificate in it.

use std::sync::Arc;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, SerialNumber, date_time_ymd,
};

use super::der::{first, integer, oid, sequence, set, split, tlv};
use super::fault::{Fault, Faults};
use super::keys::{p256, sha256, sign};
use super::server::{Answer, Asked};
use crate::Clock;

const SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
const TST_INFO: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x01, 0x04];
const CONTENT_TYPE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x03];
const MESSAGE_DIGEST: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x04];
const SHA256: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01];
const ECDSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
/// Any policy will do.
const POLICY: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0x83, 0xbf, 0x30, 0x02];
const LATE: i64 = 3_600;

pub(super) struct Stamp {
    clock: Clock,
    faults: Arc<Faults>,
    key: KeyPair,
    foreign: KeyPair,
    leaf: Vec<u8>,
    root: Vec<u8>,
}

impl Stamp {
    pub(super) fn new(clock: Clock, faults: Arc<Faults>) -> Self {
        let (root_key, key) = (p256(), p256());
        let mut params = CertificateParams::default();
        params.distinguished_name = named("tsa root");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2120, 1, 1);
        let root = params.self_signed(&root_key).expect("a certificate").der().to_vec();
        let issuer = Issuer::new(params, root_key);
        let mut params = CertificateParams::default();
        params.distinguished_name = named("tsa");
        params.serial_number = Some(SerialNumber::from(vec![7]));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::TimeStamping];
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2120, 1, 1);
        params.use_authority_key_identifier_extension = true;
        let leaf = params.signed_by(&key, &issuer).expect("a certificate").der().to_vec();
        Self { clock, faults, key, foreign: p256(), leaf, root }
    }

    pub(super) fn chain(&self) -> [Vec<u8>; 2] {
        [self.leaf.clone(), self.root.clone()]
    }

    pub(super) fn answer(&self, asked: &Asked) -> Option<Answer> {
        // TimeStampReq: version, then the imprint.
        let (request, _) = split(&asked.body);
        let (_, rest) = first(request);
        let (imprint, _) = first(rest);
        let (_, hashed) = first(split(imprint).0);
        let hash = if self.faults.has(Fault::OtherImprint) {
            sha256(b"else").to_vec()
        } else {
            split(hashed).0.to_vec()
        };
        Answer::new(200, self.response(&hash))
    }

    fn response(&self, hash: &[u8]) -> Vec<u8> {
        let sha = sequence(&[&oid(SHA256)]);
        let late = if self.faults.has(Fault::LateTimestamp) { LATE } else { 0 };
        let info = sequence(&[
            &integer(1),
            &oid(POLICY),
            &sequence(&[&sha, &tlv(0x04, hash)]),
            &integer(1),
            &tlv(0x18, generalized(self.clock.now() + late).as_bytes()),
        ]);
        let attributes = [
            sequence(&[&oid(CONTENT_TYPE), &set(&[&oid(TST_INFO)])]),
            sequence(&[&oid(MESSAGE_DIGEST), &set(&[&tlv(0x04, &sha256(&info))])]),
        ]
        .concat();
        let key = if self.faults.has(Fault::ForeignTimestamp) { &self.foreign } else { &self.key };
        let signature = sign(key, &tlv(0x31, &attributes));
        let signer = sequence(&[
            &integer(1),
            &sequence(&[&self.issuer(), &integer(7)]),
            &sha,
            &tlv(0xa0, &attributes),
            &sequence(&[&oid(ECDSA_SHA256)]),
            &tlv(0x04, &signature),
        ]);
        let signed = sequence(&[
            &integer(3),
            &set(&[&sha]),
            &sequence(&[&oid(TST_INFO), &tlv(0xa0, &tlv(0x04, &info))]),
            &tlv(0xa0, &self.leaf),
            &set(&[&signer]),
        ]);
        let content = sequence(&[&oid(SIGNED_DATA), &tlv(0xa0, &signed)]);
        sequence(&[&sequence(&[&integer(0)]), &content])
    }

    /// The issuer's name in our certificate: TBS is version, serial, algorithm, issuer.
    fn issuer(&self) -> Vec<u8> {
        let (whole, _) = split(&self.leaf);
        let mut rest = split(first(whole).0).0;
        for _ in 0..3 {
            rest = first(rest).1;
        }
        first(rest).0.to_vec()
    }
}

fn named(name: &str) -> DistinguishedName {
    let mut named = DistinguishedName::new();
    named.push(DnType::CommonName, name);
    named
}

/// `YYYYMMDDHHMMSSZ`
fn generalized(unix: i64) -> String {
    let time = date_time_ymd(1970, 1, 1) + Duration::from_secs(u64::try_from(unix).expect("a time"));
    let (date, clock) = (time.date(), time.time());
    format!(
        "{:04}{:02}{:02}{:02}{:02}{:02}Z",
        date.year(),
        u8::from(date.month()),
        date.day(),
        clock.hour(),
        clock.minute(),
        clock.second()
    )
}
