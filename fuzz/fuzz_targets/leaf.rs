//! A leaf that parses prints as it was read, but for kinds that are not known.
#![no_main]

use libfuzzer_sys::fuzz_target;
use taglog::Leaf;

fuzz_target!(|bytes: &[u8]| {
    match Leaf::parse(bytes) {
        Ok(Leaf::Unknown { .. }) | Err(_) => {}
        Ok(leaf) => assert_eq!(leaf.to_bytes(), bytes),
    }
});
