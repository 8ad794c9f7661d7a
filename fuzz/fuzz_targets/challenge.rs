//! Challenges of any header end, and name parameters in lower case.
#![no_main]

use libfuzzer_sys::fuzz_target;
use oci::parse_challenges;

fuzz_target!(|text: &str| {
    let challenges = parse_challenges(text.split('\n'));
    assert!(challenges.len() <= 16);
    for challenge in challenges {
        assert!(challenge.realm().is_none_or(|realm| realm.len() <= text.len()));
    }
});
