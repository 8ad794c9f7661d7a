//! A tile's path that parses prints as it was read; a bundle that reads gives back its bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tlog::{EntriesId, Node, TileId, decode_entries, encode_entry, node_in_tile};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(path) = std::str::from_utf8(bytes) {
        if let Ok(tile) = path.parse::<TileId>() {
            assert_eq!(tile.to_string(), path);
        }
        if let Ok(entries) = path.parse::<EntriesId>() {
            assert_eq!(entries.to_string(), path);
        }
    }
    let Some(([width, level, index], bundle)) = bytes.split_first_chunk::<3>() else { return };
    if let Ok(entries) = decode_entries(bundle, u16::from(*width)) {
        let mut again = Vec::new();
        entries.iter().for_each(|entry| encode_entry(&mut again, entry).unwrap());
        assert_eq!(again, bundle);
    }
    let _found_or_not = node_in_tile(Node { level: level % 64, index: u64::from(*index) }, bundle);
});
