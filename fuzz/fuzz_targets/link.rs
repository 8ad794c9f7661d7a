//! The next page out of upstream's header is one that we can link to, and our link leads to the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use oci::{Link, RegistryHost, Request, Route, TagsQuery};

/// The largest page that is asked of upstream.
const MAX_PAGE: u32 = 10_000;

fuzz_target!(|header: &str| {
    let Some(next) = Link::next_tags(header) else { return };
    for namespace in [None, Some(&RegistryHost::docker_hub())] {
        let ours = Link::tags_list("a/b", namespace, &next);
        let target = ours.strip_prefix('<').and_then(|rest| rest.strip_suffix(">; rel=\"next\"")).unwrap();
        let (path, query) = target.split_once('?').unwrap();
        let Route::TagsList { query, .. } = Request::parse("GET", path, Some(query)).unwrap().route else {
            panic!()
        };
        let expected = TagsQuery { n: next.n.map(|n| n.min(MAX_PAGE)), ..next.clone() };
        assert_eq!(query, expected, "{ours}");
    }
});
