//! Measures the ledger against design §7 and prints one line per figure: appends alone and with many writers, reading,
//! disk per tag, start and memory with a million tags. `append_load DIRECTORY [TAGS] [WRITERS]`; run it in release, and
//! a second time on the same directory to see start and memory of a process that has written nothing.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints its figures and has nobody to report to"
)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use ledger::{Budgets, Ledger, ManifestBytes, Observation, Options, Submission};
use oci::{Name, Sha256Digest, Tag, TagName};
use taglog::TagKey;

const ALONE: usize = 500;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let directory = PathBuf::from(arguments.next().unwrap_or_else(|| "append-load".to_owned()));
    let tags = arguments.next().map_or(1_000_000, |count| count.parse().unwrap());
    let writers = arguments.next().map_or(64, |count| count.parse().unwrap());
    let options = Options {
        origin: Some("tlog.example/log".to_owned()),
        limits: Budgets::UNLIMITED,
        ..Options::new(&directory)
    };
    if !ledger::presence(&options).is_none() {
        return start_and_read(&options, tags);
    }
    Ledger::init(&options).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let ledger = Ledger::open(options.clone()).unwrap();
    runtime.block_on(alone(&ledger));
    runtime.block_on(together(&ledger, tags, writers));
    runtime.block_on(ledger.close());
    drop(ledger);
    disk(&directory, tags + ALONE);
    start_and_read(&options, tags);
}

fn submission(number: usize) -> Submission {
    let tag = tag(number);
    Submission::Record(Observation {
        freeze: true,
        name: tag.name,
        tag: tag.tag,
        manifest: manifest(number),
        upstream_date: None,
        client: None,
        upstream: "other".to_owned(),
    })
}

fn tag(number: usize) -> TagName {
    let name = format!("index.docker.io/library/image-{}", number / 50);
    TagName { name: Name::parse_canonical(&name).unwrap(), tag: Tag::parse(&format!("v1.{number}")).unwrap() }
}

fn manifest(number: usize) -> ManifestBytes {
    let config = Sha256Digest::of(number.to_be_bytes());
    let kind = "application/vnd.oci.image.manifest.v1+json";
    let json = format!(
        r#"{{"schemaVersion":2,"mediaType":"{kind}","config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{config}","size":7}},"layers":[]}}"#
    );
    ManifestBytes::new(Bytes::from(json), Some(kind)).unwrap()
}

async fn alone(ledger: &Ledger) {
    let mut taken = Vec::with_capacity(ALONE);
    for number in 0..ALONE {
        let submission = submission(number);
        let begun = Instant::now();
        ledger.append(submission).await.unwrap();
        taken.push(begun.elapsed());
    }
    report("first seen, alone", &mut taken);
}

/// Closed loop: each writer submits its next tag as soon as the last one is answered. The submissions are made before.
async fn together(ledger: &Ledger, tags: usize, writers: usize) {
    let next = Arc::new(AtomicUsize::new(ALONE));
    let begun = Instant::now();
    let tasks: Vec<_> = (0..writers)
        .map(|_| {
            let (ledger, next) = (ledger.clone(), Arc::clone(&next));
            tokio::spawn(async move {
                let mut taken = Vec::new();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= tags + ALONE {
                        return taken;
                    }
                    let submission = submission(number);
                    let begun = Instant::now();
                    ledger.append(submission).await.unwrap();
                    taken.push(begun.elapsed());
                }
            })
        })
        .collect();
    let mut taken = Vec::new();
    for task in tasks {
        taken.extend(task.await.unwrap());
    }
    let seconds = begun.elapsed().as_secs_f64();
    println!("{writers} writers: {:.0} first-seen/s over {tags} tags", tags as f64 / seconds);
    let statistics = ledger.statistics();
    println!("leaves per batch: {:.1}", statistics.leaves as f64 / statistics.batches as f64);
    report(&format!("first seen, {writers} writers"), &mut taken);
}

/// Bytes per table, out of SQLite's own account of its pages.
fn disk(directory: &Path, tags: usize) {
    let connection = rusqlite::Connection::open(directory.join("ledger.db")).unwrap();
    let mut read = connection
        .prepare("SELECT m.tbl_name, sum(s.pgsize) FROM dbstat s JOIN sqlite_schema m ON m.name = s.name GROUP BY 1")
        .unwrap();
    let tables: Vec<(String, i64)> =
        read.query_map((), |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect();
    let mut without_manifests = 0.0;
    for (table, bytes) in tables {
        let per_tag = bytes as f64 / tags as f64;
        println!("disk, {table}: {per_tag:.0} B per tag");
        if !table.starts_with("manifest") {
            without_manifests += per_tag;
        }
    }
    println!("disk without manifests: {without_manifests:.0} B per tag");
}

fn start_and_read(options: &Options, tags: usize) {
    let before = resident();
    let begun = Instant::now();
    let ledger = Ledger::open(options.clone()).unwrap();
    println!(
        "start with {} leaves: {:.2} s",
        ledger.published().unwrap().size,
        begun.elapsed().as_secs_f64()
    );
    println!("resident: {} MB after the start, {} MB before, {} MB at most", resident(), before, peak());
    let mut taken = Vec::new();
    for number in (0..tags).step_by(tags / 10_000 + 1) {
        let tag = tag(number);
        let key = TagKey::of(&tag.name, &tag.tag);
        let begun = Instant::now();
        ledger.lookup(&key).unwrap().unwrap();
        taken.push(begun.elapsed());
    }
    report("lookup, not cached", &mut taken);
    let key = TagKey::of(&tag(7).name, &tag(7).tag);
    let begun = Instant::now();
    for _ in 0..1_000_000 {
        std::hint::black_box(ledger.lookup(&key).unwrap());
    }
    println!("lookup, cached: {} ns", begun.elapsed().as_nanos() / 1_000_000);
    let mut taken = Vec::new();
    for number in (0..tags).step_by(tags / 5_000 + 1) {
        let tag = tag(number);
        let begun = Instant::now();
        std::hint::black_box(ledger.tag_proof(&tag).unwrap());
        taken.push(begun.elapsed());
    }
    report("tag proof", &mut taken);
    println!("tag proof: {} B", ledger.tag_proof(&tag(7)).unwrap().len());
    println!("resident: {} MB after reading", resident());
}

fn report(what: &str, taken: &mut [Duration]) {
    taken.sort_unstable();
    let at = |part: usize| taken.get((taken.len() * part / 1000).min(taken.len() - 1)).copied().unwrap();
    println!("{what}: p50 {:?}, p99 {:?}, p99.9 {:?}", at(500), at(990), at(999));
}

/// Megabytes of a line of the kernel's account of this process.
fn status(line: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kilobytes = status
        .lines()
        .find_map(|text| text.strip_prefix(line))
        .map(|rest| rest.trim().trim_end_matches(" kB"));
    kilobytes.and_then(|text| text.trim().parse::<u64>().ok()).unwrap_or(0) / 1024
}

fn resident() -> u64 {
    status("VmRSS:")
}

fn peak() -> u64 {
    status("VmHWM:")
}
