//! A signed checkpoint that parses prints as it was read, and is the log's only if it was signed so.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tlog::{Checkpoint, KeyAlgorithm, SignedCheckpoint, SigningKey, verify_cosignature};

/// The seeds are signed by this log and this witness.
fn key(name: &str, algorithm: KeyAlgorithm, seed: u8) -> SigningKey {
    SigningKey::from_seed(name, algorithm, &[seed; 32]).unwrap()
}

fuzz_target!(|text: &str| {
    if let Ok(checkpoint) = text.parse::<Checkpoint>() {
        assert_eq!(checkpoint.to_string(), text);
        assert_eq!(Checkpoint::with_extensions(text), Ok(checkpoint));
    }
    let _ours_or_not = Checkpoint::with_extensions(text);
    if let Ok(signed) = text.parse::<SignedCheckpoint>() {
        assert_eq!(signed.to_string(), text);
        let log = key("tags.example/log", KeyAlgorithm::Ed25519, 1);
        if let Ok(checkpoint) = signed.verify(&log.verifier()) {
            let again = checkpoint.clone().sign(&log).unwrap();
            assert!(signed.note().signatures().contains(&again.note().signatures()[0]));
        }
        let witness = key("witness.example/w1", KeyAlgorithm::CosignatureV1, 2);
        if let Ok(time) = verify_cosignature(signed.note(), &witness.verifier()) {
            let again = tlog::cosign(signed.note(), &witness, time).unwrap();
            assert!(signed.note().signatures().contains(&again));
        }
    }
});
