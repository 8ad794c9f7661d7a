//! The next page out of upstream's header is one that we can link to, and our link leads to the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use oci::{Link, RegistryHost};

fuzz_target!(|header: &str| {
    if let Some(next) = Link::next_tags(header) {
        for namespace in [None, Some(&RegistryHost::docker_hub())] {
            let ours = Link::tags_list("a/b", namespace, &next);
            assert_eq!(Link::next_tags(&ours).as_ref(), Some(&next), "{ours}");
        }
    }
});
