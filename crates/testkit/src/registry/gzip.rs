//! The gzip format without compression: stored blocks (RFC 1951 §3.2.4) in a gzip frame (RFC 1952).

/// A valid gzip file of these bytes.
pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut file = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    let blocks: Vec<&[u8]> = if bytes.is_empty() { vec![&[]] } else { bytes.chunks(0xffff).collect() };
    for (index, block) in blocks.iter().enumerate() {
        let length = u16::try_from(block.len()).expect("a block of at most 65535 bytes");
        file.push(u8::from(index + 1 == blocks.len()));
        file.extend(length.to_le_bytes());
        file.extend((!length).to_le_bytes());
        file.extend(*block);
    }
    file.extend(crc32(bytes).to_le_bytes());
    file.extend(u32::try_from(bytes.len()).expect("less than 4 GiB in a test").to_le_bytes());
    file
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksum_agrees_with_the_published_vector() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn a_file_is_its_header_its_stored_block_and_its_trailer() {
        let file = gzip(b"123456789");
        assert_eq!(file.get(..10), Some([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff].as_slice()));
        assert_eq!(file.get(10..15), Some([1, 9, 0, 0xf6, 0xff].as_slice()));
        assert_eq!(file.get(15..24), Some(b"123456789".as_slice()));
        assert_eq!(file.get(24..), Some([0x26, 0x39, 0xf4, 0xcb, 9, 0, 0, 0].as_slice()));
        assert_eq!(gzip(&vec![b' '; 70_000]).len(), 10 + 70_000 + 2 * 5 + 8);
    }
}
