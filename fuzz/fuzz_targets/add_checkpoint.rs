//! A request to a witness that parses prints as it was read; so do the lines of an answer.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tlog::{AddCheckpoint, SignatureLine};

fuzz_target!(|text: &str| {
    if let Ok(request) = text.parse::<AddCheckpoint>() {
        assert_eq!(request.to_string(), text);
        assert!(text.len() <= AddCheckpoint::MAX_BYTES);
    }
    if let Ok(lines) = SignatureLine::parse_lines(text) {
        assert_eq!(lines.iter().map(|line| format!("{line}\n")).collect::<String>(), text);
    }
});
