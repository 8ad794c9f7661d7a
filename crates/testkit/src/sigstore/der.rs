//! As much DER (X.690) as certificates and timestamps need.

/// A value with its tag and length.
pub(super) fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    let length = content.len();
    match length {
        0..=0x7f => out.push(u8::try_from(length).expect("less than 128")),
        _ => {
            let bytes: Vec<u8> = length.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect();
            out.push(0x80 | u8::try_from(bytes.len()).expect("at most 8"));
            out.extend(bytes);
        }
    }
    out.extend_from_slice(content);
    out
}

pub(super) fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    tlv(0x30, &parts.concat())
}

pub(super) fn set(parts: &[&[u8]]) -> Vec<u8> {
    tlv(0x31, &parts.concat())
}

pub(super) fn integer(value: u8) -> Vec<u8> {
    tlv(0x02, &[value])
}

/// The content of an OBJECT IDENTIFIER, whole.
pub(super) fn oid(content: &[u8]) -> Vec<u8> {
    tlv(0x06, content)
}

/// The first value's content, and what follows it.
pub(super) fn split(der: &[u8]) -> (&[u8], &[u8]) {
    let (header, length) = match der[1] {
        short @ 0..=0x7f => (2, usize::from(short)),
        long => {
            let count = usize::from(long & 0x7f);
            (2 + count, der[2..2 + count].iter().fold(0, |length, byte| length << 8 | usize::from(*byte)))
        }
    };
    (&der[header..header + length], &der[header + length..])
}

/// The first value, with its tag and length, and what follows it.
pub(super) fn first(der: &[u8]) -> (&[u8], &[u8]) {
    let rest = split(der).1;
    der.split_at(der.len() - rest.len())
}
