//! A proof that parses prints as it was read, and leads to one root or to none.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tlog::{Hash, TlogProof, root_from_inclusion, verify_inclusion};

fuzz_target!(|text: &str| {
    if let Ok(proof) = text.parse::<TlogProof>() {
        assert_eq!(proof.to_string(), text);
        let size = proof.checkpoint.checkpoint().size;
        if let Ok(root) = root_from_inclusion(proof.index, size, Hash::EMPTY, &proof.hashes) {
            assert_eq!(verify_inclusion(proof.index, size, Hash::EMPTY, root, &proof.hashes), Ok(()));
        }
    }
});
