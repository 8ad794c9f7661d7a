//! A request's route names canonical things only, and its names parse to themselves.
#![no_main]

use libfuzzer_sys::fuzz_target;
use oci::{ManifestSelector, Name, Request, Route};

fuzz_target!(|text: &str| {
    let (path, query) = text.split_once('?').map_or((text, None), |(path, query)| (path, Some(query)));
    assert!(Request::parse("PUT", path, query).is_err());
    let Ok(request) = Request::parse("GET", path, query) else { return };
    match request.route {
        Route::Ping | Route::Catalog => {}
        Route::Manifest { name, selector } => {
            canonical(&name);
            if let ManifestSelector::Digest(digest) = selector {
                assert_eq!(oci::Digest::parse(&digest.to_string()), Ok(digest));
            }
        }
        Route::Extensions { name: None } => {}
        Route::TagHistory { name, tag, query } => {
            canonical(&name);
            assert_eq!(oci::Tag::parse(tag.as_str()).as_ref(), Ok(&tag));
            let further = oci::HistoryQuery::parse(&query.further(7));
            assert_eq!(further, Ok(oci::HistoryQuery { below: Some(7), ..query }));
        }
        Route::Blob { name, .. }
        | Route::TagsList { name, .. }
        | Route::Referrers { name, .. }
        | Route::Extensions { name: Some(name) }
        | Route::UpdateHistory { name, .. } => canonical(&name),
    }
});

fn canonical(name: &Name) {
    assert_eq!(Name::parse_canonical(name.as_str()).as_ref(), Ok(name));
    assert_eq!(Name::canonicalize(name.as_str()).as_ref(), Ok(name));
}
