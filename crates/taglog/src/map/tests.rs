//! The map beside a plain sorted list, and its proofs beside the reference's.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn key(number: u64) -> TagKey {
    let mut bytes = [0; 64];
    let (first, second) = bytes.split_at_mut(32);
    first.copy_from_slice(Hash::of((number / 7).to_be_bytes()).as_bytes());
    second.copy_from_slice(Hash::of(number.to_be_bytes()).as_bytes());
    TagKey::from_bytes(bytes)
}

fn value(number: u64) -> MapValue {
    MapValue { index: number, leaf_hash: Hash::of(number.to_le_bytes()) }
}

fn map(numbers: impl IntoIterator<Item = u64>) -> TagMap {
    let mut map = TagMap::new();
    numbers.into_iter().for_each(|number| map.insert(key(number), value(number)));
    map
}

fn check(map: &TagMap, number: u64, present: bool) {
    let proof = map.prove(&key(number));
    assert_eq!(proof.value(), map.get(&key(number)));
    assert_eq!(proof.value().is_some(), present);
    let bytes = proof.value().map(MapValue::to_bytes);
    let root =
        root_from_proof(key(number).as_bytes(), bytes.as_ref().map(<[u8; 40]>::as_slice), proof.bytes());
    assert_eq!(root, Ok(map.root()));
}

#[test]
fn proofs_of_the_reference_lead_to_its_roots() {
    let vectors: Value = serde_json::from_str(include_str!("../../testdata/mpt_vectors.json")).unwrap();
    let hex = |value: &Value| -> Vec<u8> {
        let text = value.as_str().unwrap();
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    };
    let mut checked = 0;
    for vector in vectors.as_array().unwrap() {
        for proof in vector["proofs"].as_array().unwrap() {
            let value = (!proof["val"].is_null()).then(|| hex(&proof["val"]));
            let root = root_from_proof(&hex(&proof["key"]), value.as_deref(), &hex(&proof["proof"])).unwrap();
            assert_eq!(root.to_hex(), vector["root"].as_str().unwrap());
            checked += 1;
        }
    }
    assert!(checked > 40, "{checked}");
}

#[test]
fn an_empty_map_proves_that_nothing_is_there() {
    let map = TagMap::new();
    assert!(map.is_empty());
    assert_eq!(map.root(), Hash::EMPTY);
    check(&map, 1, false);
}

#[test]
fn a_clone_is_a_snapshot() {
    let mut head = map(0..100);
    let published = head.clone();
    let root = published.root();
    (100..200).for_each(|number| head.insert(key(number), value(number)));
    head.insert(key(5), value(777));
    assert_eq!(published.root(), root);
    assert_eq!((published.len(), head.len()), (100, 200));
    assert_eq!((published.get(&key(5)), head.get(&key(5))), (Some(value(5)), Some(value(777))));
    check(&published, 150, false);
    check(&head, 150, true);
}

proptest! {
    #[test]
    fn order_of_insertion_does_not_matter(numbers in prop::collection::vec(0_u64..500, 0..200)) {
        let sorted: BTreeMap<TagKey, MapValue> = numbers.iter().map(|number| (key(*number), value(*number))).collect();
        let bulk = TagMap::from_sorted(sorted.clone());
        let one_by_one = map(numbers.iter().copied());
        let backwards = map(numbers.iter().rev().copied());
        prop_assert_eq!(bulk.root(), one_by_one.root());
        prop_assert_eq!(backwards.root(), one_by_one.root());
        prop_assert_eq!((bulk.len(), one_by_one.len()), (sorted.len() as u64, sorted.len() as u64));
    }

    #[test]
    fn presence_and_absence_are_proved(numbers in prop::collection::btree_set(0_u64..300, 0..120), asked in 0_u64..300) {
        check(&map(numbers.iter().copied()), asked, numbers.contains(&asked));
    }

    #[test]
    fn any_flipped_bit_of_a_proof_leads_elsewhere(numbers in prop::collection::btree_set(0_u64..300, 2..120), asked in 0_u64..300, at: prop::sample::Index, bit in 0_u32..8) {
        let map = map(numbers);
        let proof = map.prove(&key(asked));
        let mut bytes = proof.bytes().to_vec();
        prop_assume!(!bytes.is_empty());
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let value = proof.value().map(MapValue::to_bytes);
        let root = root_from_proof(key(asked).as_bytes(), value.as_ref().map(<[u8; 40]>::as_slice), &bytes);
        prop_assert_ne!(root, Ok(map.root()));
    }

    #[test]
    fn no_bytes_make_the_checker_panic(bytes: Vec<u8>, present: bool) {
        let value = value(1).to_bytes();
        let _any_answer = root_from_proof(key(1).as_bytes(), present.then_some(&value), &bytes);
    }
}
