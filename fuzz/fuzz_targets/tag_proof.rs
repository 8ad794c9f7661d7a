//! No bytes prove of a tag what the log does not say: whatever is accepted says what the good proof says.
#![no_main]

use libfuzzer_sys::fuzz_target;
use oci::{Name, Tag, TagName};
use taglog::{TagKey, root_from_proof, verify};
use tlog::{TlogProof, VerifierKey};

const PROOF: &str = include_str!("../seeds/tag_proof/present");
const LOG: &str = "tlog.example/log+28c1a534+AYqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c";

fuzz_target!(|bytes: &[u8]| {
    let tag = TagName {
        name: Name::parse_canonical("index.docker.io/library/alpine").unwrap(),
        tag: Tag::parse("v0").unwrap(),
    };
    let log: VerifierKey = LOG.parse().unwrap();
    let truth = verify(PROOF, &tag, &log).unwrap();
    // Past the signature: a good checkpoint with other data, as a file that was tampered with.
    let mut proof: TlogProof = PROOF.parse().unwrap();
    proof.extra = Some(bytes.to_vec());
    let files = [Some(proof.to_string()), String::from_utf8(bytes.to_vec()).ok()];
    for file in files.into_iter().flatten() {
        if let Ok(proved) = verify(&file, &tag, &log) {
            // Checkpoints of other sizes are good ones too, but only the log can sign them.
            if proved.checkpoint == truth.checkpoint {
                assert_eq!((proved.count, &proved.current), (truth.count, &truth.current));
            }
        }
    }
    let key = TagKey::of(&tag.name, &tag.tag);
    let _root_or_not = root_from_proof(key.as_bytes(), None, bytes);
    if let Some((value, path)) = bytes.split_first_chunk::<40>() {
        let _root_or_not = root_from_proof(key.as_bytes(), Some(value), path);
    }
});
