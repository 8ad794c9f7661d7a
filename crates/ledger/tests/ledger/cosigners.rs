//! Witnesses and auditors with fixed keys, the policies that name them, and what they sign.
//! It must not know the inside of the ledger.

use ledger::{Cosigned, Ledger, Mode, Publication, Signed};
use tlog::{KeyAlgorithm, Note, Policy, SignatureLine, SigningKey, cosign};

/// Somebody who cosigns.
pub(crate) struct Cosigner(SigningKey);

impl Cosigner {
    pub(crate) fn new(name: &str) -> Self {
        let mut seed = [0; 32];
        for (byte, of_name) in seed.iter_mut().zip(name.bytes()) {
            *byte = of_name;
        }
        Self(SigningKey::from_seed(name, KeyAlgorithm::CosignatureV1, &seed).unwrap())
    }

    /// Their line over the text of `note`.
    pub(crate) fn over(&self, note: &str, time: u64) -> SignatureLine {
        let note: Note = note.parse().unwrap();
        cosign(&Note::unsigned(note.text().to_owned()).unwrap(), &self.0, time).unwrap()
    }

    pub(crate) fn line(&self, signed: &Signed) -> SignatureLine {
        self.over(&signed.note, 1_700_000_000)
    }
}

/// `threshold` of `names` are enough.
pub(crate) fn policy(threshold: usize, names: &[&str]) -> Policy {
    let mut text = String::new();
    for name in names {
        text.push_str(&format!("witness {name} {}\n", Cosigner::new(name).0.verifier()));
    }
    text.push_str(&format!("group all-of-them {threshold} {}\nquorum all-of-them\n", names.join(" ")));
    text.parse().unwrap()
}

/// Two of three witnesses are demanded.
pub(crate) fn two_of_three() -> Publication {
    Publication { mode: Mode::Require, witnesses: Some(policy(2, &["w1", "w2", "w3"])), auditors: None }
}

/// What `names` answer for `signed` is taken in.
pub(crate) async fn cosigned_by(ledger: &Ledger, signed: &Signed, names: &[&str]) -> Cosigned {
    let lines: Vec<SignatureLine> = names.iter().map(|name| Cosigner::new(name).line(signed)).collect();
    ledger.add_cosignatures(signed.size, &lines).await.unwrap()
}

/// Names on the signature lines of a published note, without the log's own and the noise.
pub(crate) fn names_on(note: &str) -> Vec<String> {
    let note: Note = note.parse().unwrap();
    let names = note.signatures().iter().map(|line| line.name().to_owned());
    names.filter(|name| name != crate::place::ORIGIN && !name.starts_with("grease")).collect()
}
