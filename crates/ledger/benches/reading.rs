//! What a recorded tag costs once it is in memory: finding its record, finding its manifest, alone and on all cores.
//! Design: below a microsecond each, whatever other cores read.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a benchmark fails by panicking")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use ledger::{Budgets, Ledger, ManifestBytes, Observation, Options, Submission};
use oci::{Name, Sha256Digest, Tag, TagName};
use taglog::TagKey;

const TAGS: usize = 100_000;
/// Tags read again and again; they fit the caches.
const WARM: usize = 10_000;

struct Subject {
    tag: TagName,
    key: TagKey,
    digest: Sha256Digest,
}

fn manifest(number: usize) -> ManifestBytes {
    let config = Sha256Digest::of(number.to_be_bytes());
    let kind = "application/vnd.oci.image.manifest.v1+json";
    let json = format!(
        r#"{{"schemaVersion":2,"mediaType":"{kind}","config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{config}","size":7}},"layers":[]}}"#
    );
    ManifestBytes::new(Bytes::from(json), Some(kind)).unwrap()
}

fn subject(number: usize) -> Subject {
    let name = format!("index.docker.io/library/image-{}", number / 50);
    let tag = TagName {
        name: Name::parse_canonical(&name).unwrap(),
        tag: Tag::parse(&format!("v1.{number}")).unwrap(),
    };
    let key = TagKey::of(&tag.name, &tag.tag);
    Subject { tag, key, digest: manifest(number).digest() }
}

/// A log of `TAGS` tags, with `WARM` of them in memory.
fn filled(directory: &std::path::Path) -> (Ledger, Vec<Subject>) {
    let options = Options {
        origin: Some("tlog.example/log".to_owned()),
        limits: Budgets::UNLIMITED,
        ..Options::new(directory)
    };
    Ledger::init(&options).unwrap();
    let ledger = Ledger::open(options).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let tasks: Vec<_> = (0..64)
            .map(|first| {
                let ledger = ledger.clone();
                tokio::spawn(async move {
                    for number in (first..TAGS).step_by(64) {
                        let TagName { name, tag } = subject(number).tag;
                        let manifest = manifest(number);
                        let observation = Observation {
                            freeze: true,
                            name,
                            tag,
                            manifest,
                            upstream_date: None,
                            client: None,
                            upstream: "other".to_owned(),
                        };
                        ledger.append(Submission::Record(observation)).await.unwrap();
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
    let subjects: Vec<Subject> = (0..TAGS).step_by(TAGS / WARM).map(subject).collect();
    for subject in &subjects {
        serve(&ledger, subject);
    }
    (ledger, subjects)
}

fn serve(ledger: &Ledger, subject: &Subject) {
    let record = ledger.lookup(&subject.key).unwrap().unwrap();
    black_box(ledger.manifest(&subject.tag.name, &record.digest()).unwrap().unwrap());
}

fn reading(criterion: &mut Criterion) {
    let directory = tempfile::tempdir().unwrap();
    let (ledger, subjects) = filled(directory.path());
    let mut group = criterion.benchmark_group(format!("recorded, {TAGS} tags"));
    let one = &subjects[7];
    group.bench_function("lookup, one tag", |bencher| bencher.iter(|| ledger.lookup(black_box(&one.key))));
    group.bench_function("manifest, one tag", |bencher| {
        bencher.iter(|| ledger.manifest(black_box(&one.tag.name), &one.digest));
    });
    let mut next = subjects.iter().cycle();
    group.bench_function(format!("lookup, {WARM} tags in turn"), |bencher| {
        bencher.iter(|| ledger.lookup(&next.next().unwrap().key));
    });
    group.bench_function(format!("manifest, {WARM} tags in turn"), |bencher| {
        bencher.iter(|| {
            let subject = next.next().unwrap();
            ledger.manifest(&subject.tag.name, &subject.digest)
        });
    });
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    group.bench_function(format!("lookup and manifest, one tag, {cores} threads"), |bencher| {
        bencher.iter_custom(|count| together(cores, count, || serve(&ledger, one)));
    });
    group.finish();
}

/// How long `threads` of them take to do `each` `count` times.
fn together(threads: usize, count: u64, each: impl Fn() + Sync) -> Duration {
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| (0..count).for_each(|_| each()));
        }
    });
    begun.elapsed()
}

criterion_group!(benches, reading);
criterion_main!(benches);
