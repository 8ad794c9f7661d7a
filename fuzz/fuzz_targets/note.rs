//! A note that parses prints as it was read, and is refused by a key that did not sign it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tlog::{KeyAlgorithm, Note, SigningKey};

fuzz_target!(|text: &str| {
    if let Ok(note) = text.parse::<Note>() {
        assert_eq!(note.to_string(), text);
        let stranger = SigningKey::from_seed("stranger", KeyAlgorithm::Ed25519, &[9; 32]).unwrap();
        assert!(note.verify(&stranger.verifier()).is_err());
    }
});
