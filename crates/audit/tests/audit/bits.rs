//! Any single flipped bit in anything that counts is detected: proof, checkpoint, counted
//! cosignature, tile, bundle.

use std::sync::LazyLock;

use audit::verify::{Proof, Report, Settings};
use audit::{Error, Trust, audit, verify};
use oci::Reference;
use proptest::prelude::*;
use taglog::SupersedeRule;
use tokio::runtime::Runtime;

use crate::auditing::{self, nowhere};
use crate::simulator::{Directory, EPOCH, Log, NOW, cosigner, digest, moved, name, seen, supersede, tag_of};

/// A log of two bundles with every kind of current leaf, and two cosigners that both count.
static LOG: LazyLock<Log> = LazyLock::new(|| {
    let mut log = Log::sample(250, SupersedeRule::Operator);
    log.batch([
        moved(name(0), "v0", &digest("v0"), &digest("x"), EPOCH + 300),
        supersede(name(1), "v1", &digest("v1"), &digest("x"), EPOCH + 300),
        seen(name(2), "edge", &digest("x"), EPOCH + 300),
    ]);
    log.cosigners = vec![(cosigner("w1", 11), NOW - 9), (cosigner("w2", 12), NOW - 5)];
    log
});

fn trust() -> Trust {
    let mut text = format!("log {}\n", LOG.key());
    for (cosigner, _) in &LOG.cosigners {
        text.push_str(&format!("witness {} {}\n", cosigner.name(), cosigner.verifier()));
    }
    Trust::of_policy(&format!("{text}group both all w1 w2\nquorum both\n")).unwrap()
}

fn flip(bytes: &mut [u8], at: prop::sample::Index, bit: u32) -> usize {
    let at = at.index(bytes.len());
    bytes[at] ^= 1 << bit;
    at
}

fn check(runtime: &Runtime, reference: &str, proof: Vec<u8>) -> Option<Report> {
    let settings = Settings {
        reference: Reference::parse(reference).unwrap(),
        // What is not even text was found out before.
        proof: Proof::Saved { text: String::from_utf8(proof).ok()?, log: None },
        trust: trust(),
        max_age: None,
        allow_superseded: true,
        allow_observed: false,
        state: None,
        now: NOW,
    };
    runtime.block_on(verify(&settings)).ok()
}

/// Lines that no key of ours made: unknown signatures are ignored.
fn grease(text: &[u8]) -> std::ops::Range<usize> {
    let line = "— grease.example".as_bytes();
    let start = text.windows(line.len()).position(|window| window == line).unwrap();
    let length = text[start..].iter().position(|byte| *byte == b'\n').unwrap();
    start..start + length
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn of_a_proof_with_its_checkpoint_and_cosignatures(which in 0_usize..5, at: prop::sample::Index, bit in 0_u32..8) {
        let (name, tag) =
            [(name(0), "v0"), (name(1), "v1"), (name(2), "edge"), (name(0), "nope"), (name(3), "v248")][which];
        let good = LOG.proof(&tag_of(name, tag)).into_bytes();
        let reference = format!("{name}:{tag}");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        prop_assert!(check(&runtime, &reference, good.clone()).is_some());
        let mut bytes = good.clone();
        let at = flip(&mut bytes, at, bit);
        let unknown = grease(&good);
        if !unknown.contains(&at) {
            prop_assert_eq!(check(&runtime, &reference, bytes), None);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn of_a_file_of_the_log(which: prop::sample::Index, at: prop::sample::Index, bit in 0_u32..8) {
        let mut files = LOG.files();
        let (path, bytes) = which.get(&files).clone();
        let unknown = (path == "checkpoint").then(|| grease(&bytes));
        let mut flipped = bytes.clone();
        let at = flip(&mut flipped, at, bit);
        // An auditor counts the log's signature and nobody's cosignature.
        let end_of_log = if path == "checkpoint" { unknown.map_or(0, |unknown| unknown.start) } else { bytes.len() };
        let (directory, state) = (Directory::empty(), Directory::empty());
        files.retain(|(known, _)| *known != path);
        files.push((path.clone(), flipped));
        files.iter().for_each(|(path, bytes)| directory.put(path, bytes));
        let settings = auditing::settings(directory.source(), &LOG.key(), state.path());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let answer = runtime.block_on(audit(&settings, nowhere));
        if at < end_of_log {
            let error = answer.unwrap_err();
            let found = matches!(error, Error::Caught { .. } | Error::Malformed { .. } | Error::UntrustedLog { .. });
            prop_assert!(found, "{}: {}", path, error);
        }
    }
}
