use proptest::prelude::*;
use tlog::{Checkpoint, KeyAlgorithm, SigningKey};

use super::*;
use crate::Trust;

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed("a.example/log", KeyAlgorithm::Ed25519, &[seed; 32]).unwrap()
}

fn note(size: u64, root: [u8; 32]) -> SignedCheckpoint {
    let root = Hash::from_bytes(root);
    Checkpoint { origin: "a.example/log".to_owned(), size, root }.sign(&key(1)).unwrap()
}

fn hashes() -> impl Strategy<Value = Vec<Hash>> {
    prop::collection::vec(any::<[u8; 32]>().prop_map(Hash::from_bytes), 0..4)
}

fn leaf() -> impl Strategy<Value = SignedLeaf> {
    (any::<u64>(), any::<Vec<u8>>(), hashes()).prop_map(|(index, leaf, proof)| SignedLeaf {
        index,
        leaf,
        proof,
    })
}

fn claim() -> impl Strategy<Value = MapClaim> {
    let current = any::<(u64, [u8; 32])>()
        .prop_map(|(index, hash)| CurrentLeaf { index, hash: Hash::from_bytes(hash) });
    (any::<u64>(), prop::option::of(current), any::<Vec<u8>>()).prop_map(|(of, current, proof)| MapClaim {
        of,
        current,
        proof,
    })
}

fn note_of_any() -> impl Strategy<Value = SignedCheckpoint> {
    any::<(u64, [u8; 32])>().prop_map(|(size, root)| note(size, root))
}

fn fault() -> impl Strategy<Value = Fault> {
    let file = (".{0,20}", any::<Vec<u8>>()).prop_map(|(path, bytes)| File { path, bytes });
    let rule = prop::sample::select(vec![RuleName::G, RuleName::I, RuleName::L, RuleName::T, RuleName::U]);
    prop_oneof![
        (note_of_any(), note_of_any(), any::<[u8; 32]>(), hashes()).prop_map(
            |(older, newer, root, proof)| {
                Fault::Fork { other_log: None, older, newer, root: Hash::from_bytes(root), proof }
            }
        ),
        (note_of_any(), note_of_any()).prop_map(|(first, later)| Fault::Rollback {
            other_log: None,
            first,
            later
        }),
        (note_of_any(), note_of_any(), leaf()).prop_map(|(previous, successor, leaf)| Fault::Succession {
            previous_log: key(2).verifier(),
            previous,
            successor,
            leaf,
        }),
        (
            note_of_any(),
            rule,
            any::<u64>(),
            prop::collection::vec(leaf(), 0..3),
            prop::collection::vec(claim(), 0..3)
        )
            .prop_map(|(checkpoint, rule, index, leaves, map)| Fault::Leaf {
                checkpoint,
                rule,
                index,
                leaves,
                map
            }),
        (note_of_any(), prop::collection::vec(file, 0..3))
            .prop_map(|(checkpoint, files)| Fault::Files { checkpoint, files }),
    ]
}

proptest! {
    #[test]
    fn printing_and_parsing_are_inverse(fault in fault(), why in ".{0,40}", written: u64) {
        let evidence = Evidence::new(&key(1).verifier(), written, Finding::new(why, fault));
        prop_assert_eq!(Evidence::parse(evidence.to_json().as_bytes()).unwrap(), evidence);
    }

    #[test]
    fn no_evidence_makes_the_checker_panic(fault in fault(), now: u64) {
        let evidence = Evidence::new(&key(1).verifier(), 0, Finding::new("", fault));
        let verdict = shows(&evidence, now).ok();
        // Signed roots that were thrown together may well contradict each other; leaves and files do not.
        let of_roots = matches!(&evidence.fault, Fault::Fork { .. } | Fault::Leaf { rule: RuleName::L, .. });
        prop_assert!(of_roots || verdict != Some(Verdict::Proven));
    }
}

#[test]
fn what_is_no_evidence_file_is_refused_with_a_reason() {
    let fault = Fault::Rollback { other_log: None, first: note(3, [1; 32]), later: note(2, [1; 32]) };
    let good = Evidence::new(&key(1).verifier(), 5, Finding::new("it went back", fault)).to_json();
    for (from, to, words) in [
        ("\"schema\": 1", "\"schema\": 2", "its schema is 2"),
        ("\"written\": 5", "\"written\": 5, \"more\": 1", "more"),
        ("\"kind\": \"rollback\"", "\"kind\": \"rollback\", \"more\": 1", "more"),
        ("\"kind\": \"rollback\"", "\"kind\": \"other\"", "other"),
        ("a.example/log\\n3\\n", "a.example/log\\n03\\n", "checkpoint"),
        ("{", "", "expected"),
    ] {
        assert!(good.contains(from), "{from}");
        let error = Evidence::parse(good.replacen(from, to, 1).as_bytes()).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    }
    let large = vec![b' '; MAX_EVIDENCE + 1];
    assert!(matches!(Evidence::parse(&large), Err(Error::NotEvidence { .. })));
}

#[test]
fn a_note_of_another_key_is_no_evidence_against_this_log() {
    let fault = Fault::Rollback { other_log: None, first: note(3, [1; 32]), later: note(2, [1; 32]) };
    let evidence = |log: &SigningKey| Evidence::new(&log.verifier(), 5, Finding::new("", fault.clone()));
    assert!(shows(&evidence(&key(1)), 5).is_ok());
    assert!(matches!(shows(&evidence(&key(2)), 5), Err(Error::NotEvidence { .. })));
}

#[test]
fn evidence_that_anybody_could_have_signed_is_worth_nothing() {
    let fault = Fault::Rollback { other_log: None, first: note(3, [1; 32]), later: note(2, [1; 32]) };
    let evidence = Evidence::new(&key(1).verifier(), 5, Finding::new("", fault));
    let trusting = |log: &SigningKey| Trust::of_key(log.verifier()).unwrap();
    assert!(recheck(&evidence, &trusting(&key(1)), 5).is_ok());
    let foreign = recheck(&evidence, &trusting(&key(2)), 5);
    assert!(matches!(foreign, Err(Error::ForeignEvidence { .. })), "{foreign:?}");
    assert!(matches!(recheck(&evidence, &Trust::default(), 5), Err(Error::NoKey)));
}

#[test]
fn a_broken_succession_needs_both_keys_to_be_known() {
    let leaf = SignedLeaf { index: 0, leaf: Vec::new(), proof: Vec::new() };
    let (previous, successor) = (note(3, [1; 32]), note(2, [1; 32]));
    let fault = Fault::Succession { previous_log: key(2).verifier(), previous, successor, leaf };
    let evidence = Evidence::new(&key(1).verifier(), 5, Finding::new("", fault));
    let one = Trust::of_key(key(1).verifier()).unwrap();
    assert!(matches!(recheck(&evidence, &one, 5), Err(Error::ForeignEvidence { .. })));
    let both = one.and_key(key(2).verifier()).unwrap();
    assert!(matches!(recheck(&evidence, &both, 5), Err(Error::NotEvidence { .. })));
}

#[test]
fn a_file_at_a_level_that_no_tree_has_shows_nothing() {
    for path in ["tile/7/000", "tile/8/000.p/1", "tile/63/000", "tile/63/x001/000.p/255"] {
        let files = vec![File { path: path.to_owned(), bytes: vec![0; 32] }];
        let fault = Fault::Files { checkpoint: note(u64::MAX >> 1, [1; 32]), files };
        let evidence = Evidence::new(&key(1).verifier(), 5, Finding::new("", fault));
        assert!(shows(&evidence, 5).is_err(), "{path}");
    }
}
