//! Figures of the pure half: proofs, replay, and building the map.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark fails by panicking and prints")]

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use oci::{ManifestType, Name, Sha256Digest, Tag, TagName};
use taglog::{Leaf, MapValue, ProofParts, Record, Replay, SupersedeRule, TagKey, TagMap, assemble, verify};
use tlog::{
    Checkpoint, Frontier, KeyAlgorithm, SigningKey, cosign, inclusion_proof_of_next, leaf_hash,
    verify_cosignature,
};

fn leaf(number: u64) -> Leaf {
    Leaf::Tag(Record {
        name: Name::parse_canonical(&format!("ghcr.io/org/app{}", number / 10)).unwrap(),
        tag: Tag::parse(&format!("v{number}")).unwrap(),
        digest: Sha256Digest::of(number.to_be_bytes()),
        time: 1_700_000_000,
        media_type: ManifestType::OciIndex,
        size: 1_638,
    })
}

fn log(tags: u64, batch: u64) -> Vec<Vec<u8>> {
    let mut map = TagMap::new();
    let mut leaves = vec![Leaf::Log { supersede: SupersedeRule::Never, previous: None }.to_bytes()];
    for number in 0..tags {
        let leaf = leaf(number);
        let bytes = leaf.to_bytes();
        let (name, tag, _) = leaf.current().unwrap();
        map.insert(
            TagKey::of(name, tag),
            MapValue { index: leaves.len() as u64, leaf_hash: leaf_hash(&bytes) },
        );
        leaves.push(bytes);
        if number % batch == batch - 1 {
            let index = leaves.len() as u64;
            leaves.push(Leaf::Index { index, count: map.len(), root: map.root() }.to_bytes());
        }
    }
    leaves
}

fn proofs(criterion: &mut Criterion) {
    let key = SigningKey::from_seed("tlog.example/log", KeyAlgorithm::Ed25519, &[1; 32]).unwrap();
    let leaves = log(1_000_000, 64);
    let (last, before) = leaves.split_last().unwrap();
    let mut map = TagMap::new();
    let mut frontier = Frontier::new();
    for bytes in before {
        let parsed = Leaf::parse(bytes).unwrap();
        if let Some((name, tag, _)) = parsed.current() {
            map.insert(
                TagKey::of(name, tag),
                MapValue { index: frontier.size(), leaf_hash: leaf_hash(bytes) },
            );
        }
        frontier.push(leaf_hash(bytes));
    }
    let inclusion = inclusion_proof_of_next(&frontier);
    frontier.push(leaf_hash(last));
    let size = frontier.size();
    let checkpoint = Checkpoint { origin: key.name().to_owned(), size, root: frontier.root() };
    let mut checkpoint = checkpoint.sign(&key).unwrap().into_note();
    let witnesses = [2_u8, 3, 4].map(|number| {
        let name = format!("witness{number}.example/cosigner");
        SigningKey::from_seed(&name, KeyAlgorithm::CosignatureV1, &[number; 32]).unwrap()
    });
    for witness in &witnesses {
        let line = cosign(&checkpoint, witness, 1_700_000_000).unwrap();
        checkpoint.push(line);
    }
    let checkpoint = checkpoint.to_string();
    let subject = leaf(500_000);
    let (name, tag, _) = subject.current().unwrap();
    let subject = TagName { name: name.clone(), tag: tag.clone() };
    let tag_key = TagKey::of(&subject.name, &subject.tag);
    let bytes = leaf(500_000).to_bytes();
    let make = || {
        let proof = map.prove(&tag_key);
        let parts = ProofParts {
            checkpoint: &checkpoint,
            size,
            inclusion: &inclusion,
            count: map.len(),
            map: &proof,
            leaf: Some(&bytes),
        };
        assemble(&parts)
    };
    map.root();
    let proof = make();
    println!("proof of one of 1,000,000 tags with 3 cosignatures: {} bytes", proof.len());
    criterion
        .bench_function("make a proof among 1,000,000 tags", |bencher| bencher.iter(|| black_box(make())));
    let verifier = key.verifier();
    let cosigners = witnesses.map(|witness| witness.verifier());
    criterion.bench_function("check a proof among 1,000,000 tags", |bencher| {
        bencher.iter(|| {
            let proved = verify(black_box(&proof), &subject, &verifier).unwrap();
            cosigners
                .each_ref()
                .map(|cosigner| verify_cosignature(proved.checkpoint.note(), cosigner).unwrap())
        });
    });
}

fn replay(criterion: &mut Criterion) {
    for batch in [8, 64] {
        let leaves = log(100_000, batch);
        let mut group = criterion.benchmark_group("audit replay");
        group.sample_size(10).throughput(Throughput::Elements(leaves.len() as u64));
        group.bench_function(format!("batches of {batch}"), |bencher| {
            bencher.iter(|| {
                let mut replay = Replay::new(1_800_000_000);
                leaves.iter().for_each(|leaf| replay.leaf(leaf).unwrap());
                replay.size()
            });
        });
        group.finish();
    }
}

fn build(criterion: &mut Criterion) {
    let mut rows: Vec<(TagKey, MapValue)> = (0..1_000_000_u64)
        .map(|number| {
            let leaf = leaf(number);
            let (name, tag, _) = leaf.current().unwrap();
            (TagKey::of(name, tag), MapValue { index: number, leaf_hash: leaf_hash(&leaf.to_bytes()) })
        })
        .collect();
    rows.sort_by_key(|(key, _)| *key);
    let mut group = criterion.benchmark_group("map");
    group.sample_size(10);
    group.bench_function("build and hash 1,000,000 keys", |bencher| {
        bencher.iter_batched(
            || rows.clone(),
            |rows| TagMap::from_sorted(rows).root(),
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group!(benches, proofs, replay, build);
criterion_main!(benches);
