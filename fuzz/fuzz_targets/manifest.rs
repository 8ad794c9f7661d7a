//! A body is judged without a panic, and the same with the type that it was found to have.
#![no_main]

use libfuzzer_sys::fuzz_target;
use oci::Manifest;

fuzz_target!(|bytes: &[u8]| {
    let header = std::str::from_utf8(bytes).ok().and_then(|text| text.split('"').nth(1));
    let _judged = Manifest::validate(bytes, header);
    if let Ok(manifest) = Manifest::validate(bytes, None) {
        assert_eq!(Manifest::validate(bytes, Some(manifest.media_type.as_str())), Ok(manifest));
    }
});
