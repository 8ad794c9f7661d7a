//! A policy that parses is satisfied by all of its witnesses, and by nobody only if it asks for nobody.
#![no_main]

use std::collections::BTreeSet;

use libfuzzer_sys::fuzz_target;
use tlog::{Policy, Quorum};

fuzz_target!(|text: &str| {
    if let Ok(policy) = text.parse::<Policy>() {
        let everybody: BTreeSet<&str> = policy.witnesses().map(|(name, ..)| name).collect();
        assert!(policy.is_satisfied_by(&everybody));
        assert_eq!(policy.is_satisfied_by(&BTreeSet::new()), policy.quorum() == &Quorum::None);
    }
});
