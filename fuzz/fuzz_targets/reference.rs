//! A reference that parses is canonical: what it prints parses to the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use oci::Reference;

fuzz_target!(|text: &str| {
    if let Ok(reference) = Reference::parse(text) {
        let printed = reference.to_string();
        assert_eq!(Reference::parse(&printed).as_ref(), Ok(&reference), "{printed}");
        assert_eq!(printed, Reference::parse(&printed).unwrap().to_string());
    }
});
