//! Agreement with the executable reference: good logs with their proofs, bad logs with the rule that
//! each breaks.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use oci::{Name, Tag, TagName};
use serde_json::Value;
use taglog::{Leaf, Replay, verify};
use tlog::{Frontier, SignedCheckpoint, VerifierKey, leaf_hash};

const VECTORS: &str = include_str!("../testdata/taglog_vectors.json");
/// The reference's clock.
const NOW: u64 = 1 << 33;

fn vectors(kind: &str) -> Vec<Value> {
    let mut all: Value = serde_json::from_str(VECTORS).unwrap();
    serde_json::from_value(all[kind].take()).unwrap()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap()
}

fn replay(log: &Value) -> Result<Replay, taglog::Broken> {
    let mut replay = Replay::new(NOW);
    for leaf in log["leaves"].as_array().unwrap() {
        replay.leaf(leaf.as_str().unwrap().as_bytes())?;
    }
    for size in log["published"].as_array().unwrap() {
        replay.published(size.as_u64().unwrap())?;
    }
    Ok(replay)
}

#[test]
fn good_logs_replay_to_the_map_of_the_reference() {
    let mut replayed = 0;
    for log in vectors("good") {
        if log["leaves"].is_null() {
            continue;
        }
        let replay = replay(&log).unwrap();
        assert_eq!(replay.map().root().to_hex(), text(&log, "map_root"));
        assert_eq!(replay.size(), log["size"].as_u64().unwrap());
        let mut frontier = Frontier::new();
        for leaf in log["leaves"].as_array().unwrap() {
            let leaf = leaf.as_str().unwrap();
            assert_eq!(Leaf::parse(leaf.as_bytes()).unwrap().to_string(), leaf);
            frontier.push(leaf_hash(leaf.as_bytes()));
        }
        assert_eq!(frontier.root().to_hex(), text(&log, "root"));
        replayed += 1;
    }
    assert!(replayed >= 3, "{replayed}");
}

#[test]
fn proofs_of_the_reference_prove_what_it_says() {
    let mut proofs = 0;
    for log in vectors("good") {
        let key: VerifierKey = text(&log, "vkey").parse().unwrap();
        let checkpoint: SignedCheckpoint = text(&log, "checkpoint").parse().unwrap();
        checkpoint.verify(&key).unwrap();
        for query in log["queries"].as_array().unwrap() {
            let subject = subject(query);
            let verified = verify(text(query, "proof"), &subject, &key).unwrap();
            let current = verified.current.as_ref();
            assert_eq!(current.map(|(_, leaf)| leaf.kind()), query["kind"].as_str());
            let digest =
                current.and_then(|(_, leaf)| leaf.current().map(|(_, _, digest)| digest.to_string()));
            assert_eq!(digest.as_deref(), query["digest"].as_str());
            assert_eq!(verified.checkpoint, checkpoint);
            proofs += 1;
        }
    }
    assert!(proofs > 20, "{proofs}");
}

#[test]
fn any_changed_character_of_a_proof_is_found() {
    let log = &vectors("good")[3];
    let key: VerifierKey = text(log, "vkey").parse().unwrap();
    for query in log["queries"].as_array().unwrap() {
        let subject = subject(query);
        let proof = text(query, "proof");
        let good = verify(proof, &subject, &key).unwrap();
        for (at, character) in proof.char_indices() {
            for other in ['A', 'B', '0', '1', '\n', ' ', '='] {
                if other == character {
                    continue;
                }
                let changed = format!("{}{other}{}", &proof[..at], &proof[at + character.len_utf8()..]);
                let answer = verify(&changed, &subject, &key);
                assert!(
                    answer.as_ref().is_err(),
                    "{at}: {character:?} to {other:?} proves {answer:?} like {good:?}"
                );
            }
        }
    }
}

#[test]
fn a_proof_of_one_tag_proves_nothing_of_another() {
    let log = &vectors("good")[3];
    let key: VerifierKey = text(log, "vkey").parse().unwrap();
    let queries = log["queries"].as_array().unwrap();
    for query in queries {
        for other in queries.iter().filter(|other| text(other, "proof") != text(query, "proof")) {
            let answer = verify(text(query, "proof"), &subject(other), &key);
            // A proof of absence may hold for every key that would stand in the same place.
            assert!(answer.is_err() || (query["kind"].is_null() && other["kind"].is_null()));
        }
    }
}

#[test]
fn bad_logs_break_the_rule_that_the_reference_names() {
    let logs = vectors("bad");
    assert!(logs.len() >= 17);
    for log in logs {
        let broken = replay(&log).unwrap_err();
        assert_eq!(broken.rule.to_string(), text(&log, "rule"), "{}: {broken}", text(&log, "why"));
        assert_eq!(broken.index, log["at"].as_u64().unwrap(), "{}: {broken}", text(&log, "why"));
    }
}

fn subject(query: &Value) -> TagName {
    let name = Name::parse_canonical(text(query, "name")).unwrap();
    TagName { name, tag: Tag::parse(text(query, "tag")).unwrap() }
}

/// Both bound what evidence of a fault has to hold.
#[test]
fn a_batch_and_a_leaf_have_their_bounds() {
    let log = Leaf::Log { supersede: taglog::SupersedeRule::Never, previous: None };
    let mut replay = Replay::new(0);
    let index = |replay: &Replay| Leaf::Index { index: replay.size(), count: 0, root: replay.map().root() };
    replay.leaf(&log.to_bytes()).unwrap();
    replay.leaf(&index(&replay).to_bytes()).unwrap();
    for _round in 0..2 {
        for _leaf in 0..taglog::MAX_BATCH {
            replay.leaf(b"filler\n").unwrap();
        }
        replay.leaf(&index(&replay).to_bytes()).unwrap();
    }
    for _leaf in 0..taglog::MAX_BATCH {
        replay.leaf(b"filler\n").unwrap();
    }
    let broken = replay.leaf(b"filler\n").unwrap_err();
    assert_eq!((broken.rule, broken.index), (taglog::Rule::I, replay.size()));
}
