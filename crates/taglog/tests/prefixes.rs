//! Prefix proofs as files: agreement with the executable reference, and nothing in them that can be
//! changed unseen.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use oci::{ManifestType, Name, Sha256Digest, Tag};
use serde_json::Value;
use taglog::{
    Leaf, MAX_PREFIX_TAGS, MapValue, PrefixParts, ProofError, Record, SupersedeRule, TagKey, TagMap,
    assemble_prefix, verify_prefix,
};
use tlog::{
    Checkpoint, Frontier, KeyAlgorithm, SigningKey, VerifierKey, base64, inclusion_proof_of_next, leaf_hash,
};

const VECTORS: &str = include_str!("../testdata/prefix_vectors.json");

fn vectors() -> Vec<Value> {
    serde_json::from_str(VECTORS).unwrap()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap()
}

fn name(text: &str) -> Name {
    Name::parse_canonical(text).unwrap()
}

/// A log of one batch: its leaves, map, and the tree before the index leaf.
struct Log {
    key: SigningKey,
    leaves: Vec<Vec<u8>>,
    map: TagMap,
}

impl Log {
    fn new(tags: &[(&str, &str)]) -> Self {
        let mut leaves = vec![Leaf::Log { supersede: SupersedeRule::Never, previous: None }.to_bytes()];
        let mut map = TagMap::new();
        for (repository, tag) in tags {
            let (name, tag) = (name(repository), Tag::parse(tag).unwrap());
            let key = TagKey::of(&name, &tag);
            let digest = Sha256Digest::of(tag.as_str());
            let record = Record { name, tag, digest, time: 1, media_type: ManifestType::OciIndex, size: 7 };
            let leaf = Leaf::Tag(record).to_bytes();
            map.insert(key, MapValue { index: leaves.len() as u64, leaf_hash: leaf_hash(&leaf) });
            leaves.push(leaf);
        }
        let key = SigningKey::from_seed("tlog.example/log", KeyAlgorithm::Ed25519, &[1; 32]).unwrap();
        Self { key, leaves, map }
    }

    fn prove(&self, repository: &str) -> String {
        let proof = self.map.prove_prefix(&TagKey::repository(&name(repository)), MAX_PREFIX_TAGS).unwrap();
        let leaves: Vec<Vec<u8>> =
            proof.entries().iter().map(|(_, value)| self.leaves[value.index as usize].clone()).collect();
        self.assemble(&proof, &leaves)
    }

    fn assemble(&self, map: &taglog::PrefixProof, leaves: &[Vec<u8>]) -> String {
        let mut frontier = Frontier::new();
        self.leaves.iter().for_each(|leaf| frontier.push(leaf_hash(leaf)));
        let inclusion = inclusion_proof_of_next(&frontier);
        let (index, count) = (frontier.size(), self.map.len());
        frontier.push(leaf_hash(&Leaf::Index { index, count, root: self.map.root() }.to_bytes()));
        let (size, root) = (frontier.size(), frontier.root());
        let checkpoint = Checkpoint { origin: self.key.name().to_owned(), size, root };
        let checkpoint = checkpoint.sign(&self.key).unwrap().to_string();
        assemble_prefix(&PrefixParts {
            checkpoint: &checkpoint,
            size,
            inclusion: &inclusion,
            count,
            map,
            leaves,
        })
    }
}

#[test]
fn prefix_proofs_of_the_reference_prove_what_it_says() {
    let (mut present, mut absent) = (0, 0);
    for log in vectors() {
        let key: VerifierKey = text(&log, "vkey").parse().unwrap();
        for query in log["queries"].as_array().unwrap() {
            let verified = verify_prefix(text(query, "proof"), &name(text(query, "name")), &key).unwrap();
            assert_eq!(verified.checkpoint.checkpoint().size, log["size"].as_u64().unwrap());
            let expected = query["tags"].as_array().unwrap();
            assert_eq!(verified.current.len(), expected.len());
            for ((index, leaf), expected) in verified.current.iter().zip(expected) {
                let (_, tag, digest) = leaf.current().unwrap();
                assert_eq!(*index, expected["index"].as_u64().unwrap());
                assert_eq!((tag.as_str(), leaf.kind()), (text(expected, "tag"), text(expected, "kind")));
                assert_eq!(digest.to_string(), text(expected, "digest"));
            }
            *(if expected.is_empty() { &mut absent } else { &mut present }) += 1;
        }
    }
    assert!(present >= 8 && absent >= 8, "{present} present, {absent} absent");
}

#[test]
fn any_changed_character_of_a_prefix_proof_is_found() {
    let logs = vectors();
    let key: VerifierKey = text(&logs[3], "vkey").parse().unwrap();
    for query in logs[3]["queries"].as_array().unwrap() {
        let (name, proof) = (name(text(query, "name")), text(query, "proof"));
        verify_prefix(proof, &name, &key).unwrap();
        for (at, character) in proof.char_indices() {
            for other in ['A', 'B', '0', '\n', ' ', '='] {
                if other == character {
                    continue;
                }
                let changed = format!("{}{other}{}", &proof[..at], &proof[at + character.len_utf8()..]);
                assert!(verify_prefix(&changed, &name, &key).is_err(), "{at}: {character:?} to {other:?}");
            }
        }
    }
}

#[test]
fn any_changed_byte_within_the_extra_part_is_found() {
    let log = Log::new(&[("ghcr.io/a/b", "v1"), ("ghcr.io/a/b", "v2"), ("quay.io/c/d", "v1")]);
    for repository in ["ghcr.io/a/b", "quay.io/c/d", "quay.io/none/here"] {
        let proof = log.prove(repository);
        let extra = proof.lines().nth(1).unwrap().strip_prefix("extra ").unwrap();
        let bytes = base64::decode_strict(extra).unwrap();
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut changed = bytes.clone();
                changed[at] ^= 1 << bit;
                let changed = proof.replacen(extra, &base64::encode(changed), 1);
                assert!(
                    verify_prefix(&changed, &name(repository), &log.key.verifier()).is_err(),
                    "{at}.{bit}"
                );
            }
        }
        for changed in [[&bytes[..], b"\n"].concat(), bytes[..bytes.len() - 1].to_vec()] {
            let changed = proof.replacen(extra, &base64::encode(changed), 1);
            assert!(verify_prefix(&changed, &name(repository), &log.key.verifier()).is_err());
        }
    }
}

#[test]
fn a_proof_of_one_repository_proves_nothing_of_another() {
    let names = ["ghcr.io/a/b", "quay.io/c/d", "quay.io/e/f"];
    let log = Log::new(&[(names[0], "v1"), (names[0], "v2"), (names[1], "v1")]);
    let key = log.key.verifier();
    for proved in names {
        let proof = log.prove(proved);
        assert!(verify_prefix(&proof, &name(proved), &key).is_ok());
        for other in names.iter().filter(|other| **other != proved) {
            let answer = verify_prefix(&proof, &name(other), &key);
            // An absence may hold for every name that would stand in the same place; these stand elsewhere.
            assert!(answer.is_err(), "{proved} for {other}: {answer:?}");
        }
    }
}

#[test]
fn leaves_that_the_map_never_holds_prove_nothing() {
    let log = Log::new(&[("ghcr.io/a/b", "v1")]);
    let proof = log.map.prove_prefix(&TagKey::repository(&name("ghcr.io/a/b")), MAX_PREFIX_TAGS).unwrap();
    let close = b"close\ntime 1\nreason x\n".to_vec();
    let wrong = log.assemble(&proof, &[close]);
    let answer = verify_prefix(&wrong, &name("ghcr.io/a/b"), &log.key.verifier());
    assert!(matches!(answer, Err(ProofError::Extra(_))), "{answer:?}");
}

#[test]
fn a_prefix_proof_is_no_tag_proof_and_the_other_way_round() {
    let log = Log::new(&[("ghcr.io/a/b", "v1")]);
    let repository = name("ghcr.io/a/b");
    let tag = oci::TagName { name: repository.clone(), tag: Tag::parse("v1").unwrap() };
    let key = log.key.verifier();
    assert!(taglog::verify(&log.prove("ghcr.io/a/b"), &tag, &key).is_err());
    let extra = |header: &str| format!("{header}\n1\n\n0\n");
    let proof = log.prove("ghcr.io/a/b");
    let own = proof.lines().nth(1).unwrap();
    let wrong = format!("extra {}", base64::encode(extra("tlogistry/tag-proof/v1")));
    assert!(verify_prefix(&proof.replacen(own, &wrong, 1), &repository, &key).is_err());
}
