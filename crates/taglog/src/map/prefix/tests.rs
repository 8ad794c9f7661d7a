//! Prefix proofs beside a plain sorted list: nothing left out, added or replaced goes unseen.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// Repositories of seven tags each.
const TAGS: u64 = 7;

fn repository(number: u64) -> Hash {
    Hash::of((number / TAGS).to_be_bytes())
}

fn key(number: u64) -> TagKey {
    let mut bytes = [0; 64];
    let (first, second) = bytes.split_at_mut(32);
    first.copy_from_slice(repository(number).as_bytes());
    second.copy_from_slice(Hash::of(number.to_be_bytes()).as_bytes());
    TagKey::from_bytes(bytes)
}

fn value(number: u64) -> MapValue {
    MapValue { index: number, leaf_hash: Hash::of(number.to_le_bytes()) }
}

fn sorted(numbers: impl IntoIterator<Item = u64>) -> BTreeMap<TagKey, MapValue> {
    numbers.into_iter().map(|number| (key(number), value(number))).collect()
}

fn prove(map: &TagMap, number: u64) -> PrefixProof {
    map.prove_prefix(&repository(number), 100).unwrap()
}

#[test]
fn an_empty_map_proves_that_no_repository_is_there() {
    let proof = prove(&TagMap::new(), 1);
    assert!(proof.entries().is_empty() && proof.bytes().is_empty());
    assert_eq!(root_from_prefix_proof(&repository(1), &[], &[]), Ok(Hash::EMPTY));
}

#[test]
fn a_repository_that_is_the_whole_map_needs_no_path() {
    let map = TagMap::from_sorted(sorted(0..TAGS));
    let proof = prove(&map, 0);
    assert_eq!((proof.entries().len() as u64, proof.bytes()), (TAGS, &[][..]));
    assert_eq!(root_from_prefix_proof(&repository(0), proof.entries(), &[]), Ok(map.root()));
}

#[test]
fn more_tags_than_asked_for_are_not_half_a_proof() {
    let map = TagMap::from_sorted(sorted(0..100));
    let limit = usize::try_from(TAGS).unwrap();
    assert!(map.prove_prefix(&repository(0), limit).is_ok());
    assert_eq!(map.prove_prefix(&repository(0), limit - 1), Err(TooManyTags { limit: limit - 1 }));
}

#[test]
fn absence_cannot_be_shown_by_a_tag_of_the_repository_itself() {
    let map = TagMap::from_sorted(sorted(0..100));
    // The very proof that `prefix || 0…0` is absent, as any repository with tags has one too.
    let lie = map.prove(&first_key(&repository(0)));
    assert_eq!(lie.value(), None);
    assert!(root_from_prefix_proof(&repository(0), &[], lie.bytes()).is_err());
}

proptest! {
    #[test]
    fn every_tag_of_a_repository_and_no_other_is_proved(numbers in prop::collection::btree_set(0_u64..300, 0..150), asked in 0_u64..300) {
        let all = sorted(numbers);
        let map = TagMap::from_sorted(all.clone());
        let proof = prove(&map, asked);
        let expected: Vec<_> = all.into_iter().filter(|(key, _)| begins_with(key.as_bytes(), &repository(asked))).collect();
        prop_assert_eq!(proof.entries(), expected.as_slice());
        prop_assert_eq!(map.count_under(&repository(asked)), expected.len() as u64);
        prop_assert_eq!(root_from_prefix_proof(&repository(asked), proof.entries(), proof.bytes()), Ok(map.root()));
    }

    #[test]
    fn a_tag_left_out_added_replaced_or_moved_leads_elsewhere(numbers in prop::collection::btree_set(0_u64..100, 1..80), asked: prop::sample::Index, at: prop::sample::Index) {
        let numbers: Vec<u64> = numbers.into_iter().collect();
        let asked = numbers[asked.index(numbers.len())];
        let map = TagMap::from_sorted(sorted(numbers));
        let proof = prove(&map, asked);
        let leads_to_root = |entries: &[(TagKey, MapValue)]| {
            root_from_prefix_proof(&repository(asked), entries, proof.bytes()) == Ok(map.root())
        };
        let good = proof.entries().to_vec();
        let at = at.index(good.len());
        let (mut without, mut twice, mut replaced, mut foreign) = (good.clone(), good.clone(), good.clone(), good.clone());
        without.remove(at);
        twice.insert(at, good[at]);
        replaced[at].1.index += 1;
        foreign.push((key(asked + 1000), value(1)));
        prop_assert!(leads_to_root(&good));
        for entries in [without, twice, replaced, foreign] {
            prop_assert!(!leads_to_root(&entries), "{:?}", entries);
        }
        let mut added = sorted([asked / TAGS * TAGS + 3]);
        let before = good.len();
        added.extend(good.iter().copied());
        if added.len() > before {
            prop_assert!(!leads_to_root(&added.into_iter().collect::<Vec<_>>()));
        }
        if before > 1 {
            let mut moved = good;
            moved.swap(at, (at + 1) % before);
            prop_assert!(!leads_to_root(&moved));
        }
    }

    #[test]
    fn any_flipped_bit_of_a_prefix_proof_leads_elsewhere(numbers in prop::collection::btree_set(0_u64..300, 2..120), asked in 0_u64..300, at: prop::sample::Index, bit in 0_u32..8) {
        let map = TagMap::from_sorted(sorted(numbers));
        let proof = prove(&map, asked);
        let mut bytes = proof.bytes().to_vec();
        prop_assume!(!bytes.is_empty());
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert_ne!(root_from_prefix_proof(&repository(asked), proof.entries(), &bytes), Ok(map.root()));
    }

    #[test]
    fn no_bytes_make_the_prefix_checker_panic(bytes: Vec<u8>, numbers in prop::collection::vec(0_u64..14, 0..4)) {
        let entries: Vec<_> = numbers.into_iter().map(|number| (key(number), value(number))).collect();
        let _any_answer = root_from_prefix_proof(&repository(0), &entries, &bytes);
    }
}
