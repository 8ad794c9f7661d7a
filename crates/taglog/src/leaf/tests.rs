//! The grammar: one spelling for each leaf, and nothing else.

use proptest::prelude::*;

use super::*;

const DIGEST: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const OTHER: &str = "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
const TYPE: &str = "application/vnd.oci.image.index.v1+json";
const NAME: &str = "index.docker.io/library/alpine";
const ROOT: &str = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";

fn good() -> Vec<String> {
    vec![
        "log tlogistry/v1 supersede=never\n".to_owned(),
        "log tlogistry/v1 supersede=operator\n".to_owned(),
        format!("log tlogistry/v1 supersede=never\nprevious tlog.example/log 7 {ROOT}\n"),
        format!("tag {NAME} 3.16.0 {DIGEST}\ntime 1700000000\ntype {TYPE}\nsize 1638\n"),
        format!("seen ghcr.io/org/app v1 {DIGEST}\ntime 0\ntype {TYPE}\nsize 0\n"),
        format!("moved {NAME} v1 {DIGEST} {OTHER}\ntime 1700000000\n"),
        format!("supersede {NAME} v1 {DIGEST} {OTHER}\ntime 1\nreason rebuilt by the publisher, ticket 17\n"),
        format!("thaw {NAME} v1 {DIGEST}\ntime 1\nreason x\n"),
        "close\ntime 1\nreason key compromised\n".to_owned(),
        format!("index 1 0 {ROOT}\n"),
    ]
}

#[test]
fn every_kind_parses_and_prints_as_it_was() {
    for text in good() {
        let leaf = Leaf::parse(text.as_bytes()).unwrap();
        assert!(!matches!(leaf, Leaf::Unknown { .. }), "{text}");
        assert_eq!(leaf.to_string(), text);
        assert!(text.starts_with(leaf.kind()));
    }
}

#[test]
fn any_other_spelling_is_refused() {
    for text in good() {
        for (from, to) in [
            ("\n", ""),
            ("\n", "\n\n"),
            ("\n", "\r\n"),
            (" ", "  "),
            (" ", "\t"),
            ("time 1", "time 01"),
            ("time 1", "time -1"),
            ("time 1700000000", "time 17000000000"),
            ("size 1638", "size 1638 "),
            ("size 1638", "size 1234567890123456789"),
            ("index 1", "index 01"),
            ("sha256:a", "sha256:A"),
            ("sha256:", "sha512:"),
            ("index.docker.io", "docker.io"),
            ("library/alpine", "library/Alpine"),
            ("v1 sha", ".v1 sha"),
            ("reason ", "reason  "),
            ("+json", "+JSON"),
            ("=never", "=maybe"),
            ("/v1 ", "/v2 "),
            ("uFU=\n", "uFV=\n"),
            ("uFU=\n", "uFU\n"),
        ] {
            if let Some(at) = text.find(from) {
                let wrong = format!("{}{to}{}", &text[..at], &text[at + from.len()..]);
                let parsed = Leaf::parse(wrong.as_bytes());
                let known = parsed.as_ref().is_ok_and(|leaf| !matches!(leaf, Leaf::Unknown { .. }));
                assert!(!known, "{wrong:?} is {parsed:?}");
            }
        }
        assert!(Leaf::parse(format!("{text}more x\n").as_bytes()).is_err(), "{text}");
    }
}

#[test]
fn unknown_kinds_are_leaves_that_mean_nothing() {
    let leaf = Leaf::parse(b"policy something new\nmore lines\n").unwrap();
    assert_eq!(leaf, Leaf::Unknown { kind: "policy".to_owned() });
    assert!(leaf.current().is_none() && leaf.time().is_none());
    for wrong in [&b"policy"[..], b"", b"a\n\nb\n", b"a\x01\n", b"a\x7f\n", b"\xff\n"] {
        assert!(Leaf::parse(wrong).is_err(), "{wrong:?}");
    }
    let long = "x".repeat(MAX_LEAF) + "\n";
    assert_eq!(Leaf::parse(long.as_bytes()), Err(LeafError::TooLong(MAX_LEAF + 1)));
}

#[test]
fn reasons_are_printable_and_bounded() {
    assert!(Reason::parse("x").is_ok() && Reason::parse(&"x".repeat(1024)).is_ok());
    for wrong in ["", " x", "x ", "a\nb", "é", &"x".repeat(1025)] {
        assert!(Reason::parse(wrong).is_err(), "{wrong:?}");
    }
}

proptest! {
    #[test]
    fn printing_and_parsing_are_inverse(time in 0_u64..10_000_000_000, size in 0_u64..1_000_000_000_000_000_000, a: [u8; 32], b: [u8; 32], tag in "[A-Za-z0-9_][A-Za-z0-9._-]{0,127}", reason in "[!-~]([ -~]{0,60}[!-~])?") {
        let name = Name::canonicalize("ghcr.io/org/app").unwrap();
        let (tag, reason) = (Tag::parse(&tag).unwrap(), Reason::parse(&reason).unwrap());
        let (digest, other) = (Sha256Digest::from_bytes(a), Sha256Digest::from_bytes(b));
        let record = Record { name: name.clone(), tag: tag.clone(), digest, time, media_type: ManifestType::DockerList, size };
        for leaf in [
            Leaf::Tag(record.clone()),
            Leaf::Seen(record),
            Leaf::Moved { name: name.clone(), tag: tag.clone(), recorded: digest, seen: other, time },
            Leaf::Supersede { name: name.clone(), tag: tag.clone(), old: digest, new: other, time, reason: reason.clone() },
            Leaf::Thaw { name, tag, digest, time, reason: reason.clone() },
            Leaf::Close { time, reason },
            Leaf::Index { index: size, count: time, root: Hash::from_bytes(a) },
        ] {
            prop_assert_eq!(Leaf::parse(&leaf.to_bytes()).unwrap(), leaf);
        }
    }

    #[test]
    fn no_bytes_make_the_parser_panic(bytes: Vec<u8>, text in "(log|tag|seen|moved|index|close) [ -~\n]{0,80}") {
        let _any_answer = Leaf::parse(&bytes);
        if let Ok(leaf) = Leaf::parse(text.as_bytes())
            && !matches!(leaf, Leaf::Unknown { .. })
        {
            prop_assert_eq!(leaf.to_string(), text);
        }
    }
}
