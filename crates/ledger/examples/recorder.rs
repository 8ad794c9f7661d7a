//! A recorder whose disk may fail at any moment, and the check of what it left: driven by `ci/strace-faults`.
//! `recorder init DATA`, `recorder record DATA EXPORT FROM COUNT` prints what it was answered, one line each, and
//! `recorder check DATA EXPORT ANSWERS` demands that all of it is still true. It must not know how faults come about.

#![expect(clippy::print_stdout, reason = "an example talks to whoever started it")]

use std::error::Error;
use std::fs;
use std::io::{Write as _, stdout};
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use bytes::Bytes;
use ledger::{
    Appended, Budgets, ExportError, Exported, Ledger, ManifestBytes, Observation, Options, Submission,
    exported_leaves, fsck,
};
use oci::{Name, Sha256Digest, Tag};
use taglog::{Replay, TagKey};
use tlog::{Frontier, leaf_hash};

type Failure = Box<dyn Error + Send + Sync>;

const USAGE: &str = "usage: recorder init DATA | record DATA EXPORT FROM COUNT | check DATA EXPORT ANSWERS";

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["init", data] => {
            println!("{}", Ledger::init(&options(data))?);
            Ok(())
        }
        ["record", data, export, from, count] => {
            block_on(record(data, Path::new(export), from.parse()?, count.parse()?))
        }
        ["check", data, export, answers] => {
            block_on(check(data, Path::new(export), &fs::read_to_string(answers)?))
        }
        _ => Err(USAGE.into()),
    }
}

/// Runs `future` on this thread, parked while it waits: a runtime would wake itself through a `write` of its own, which
/// is no matter of the disk.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn options(data: &str) -> Options {
    Options { origin: Some("tlog.example/log".to_owned()), limits: Budgets::UNLIMITED, ..Options::new(data) }
}

fn subject(number: u64) -> Result<(Name, Tag), Failure> {
    Ok((Name::parse_canonical("ghcr.io/org/app")?, Tag::parse(&format!("v{number}"))?))
}

fn manifest(content: &str) -> Result<ManifestBytes, Failure> {
    let kind = "application/vnd.oci.image.manifest.v1+json";
    let config = Sha256Digest::of(content);
    let json = format!(
        r#"{{"schemaVersion":2,"mediaType":"{kind}","config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{config}","size":7}},"layers":[]}}"#
    );
    Ok(ManifestBytes::new(Bytes::from(json), Some(kind))?)
}

/// Records tags, failing or not, and exports in the middle and at the end.
async fn record(data: &str, export: &Path, from: u64, count: u64) -> Result<(), Failure> {
    let ledger = Ledger::open(options(data))?;
    for number in from..from + count {
        let (name, tag) = subject(number)?;
        let submission = Submission::Record(Observation {
            freeze: true,
            name,
            tag,
            manifest: manifest(&number.to_string())?,
            upstream_date: None,
            client: None,
            upstream: "other".to_owned(),
        });
        match ledger.append(submission).await {
            Ok(Appended::Recorded(record) | Appended::Existing(record)) => {
                say(&format!("recorded {number} {} {}", record.index(), record.digest()));
                let published = ledger.published()?;
                say(&format!("checkpoint {} {}", published.size, published.root));
            }
            Ok(other) => return Err(format!("{other:?}").into()),
            Err(error) => say(&format!("refused {number} {error}")),
        }
        if number == from + count / 2 || number == from + count - 1 {
            tell(ledger.export(export, |_, _| ()));
        }
    }
    ledger.close().await;
    Ok(())
}

fn tell(exported: Result<Exported, ExportError>) {
    match exported {
        Ok(exported) => say(&format!("exported {}", exported.size)),
        Err(error) => say(&format!("refused export {error}")),
    }
}

/// What cannot be said has been told to nobody, and need not be true.
fn say(line: &str) {
    let mut stdout = stdout().lock();
    let _told_nobody = stdout.write_all(format!("{line}\n").as_bytes()).and_then(|()| stdout.flush());
}

/// Everything that was answered is there, every checkpoint that was seen is one of this log, and the log goes on.
async fn check(data: &str, export: &Path, answers: &str) -> Result<(), Failure> {
    let ledger = Ledger::open(options(data))?;
    if let Some(read_only) = ledger.read_only() {
        return Err(read_only.to_string().into());
    }
    let exported = ledger.export(export, |_, _| ())?;
    let (mut replay, mut frontier, mut roots) = (Replay::new(u64::MAX), Frontier::new(), Vec::new());
    for leaf in exported_leaves(export, exported.size) {
        let leaf = leaf?;
        replay.leaf(&leaf)?;
        frontier.push(leaf_hash(&leaf));
        roots.push((frontier.size(), frontier.root().to_string()));
    }
    replay.published(exported.size)?;
    // A line that was cut off by the end of the process was not an answer.
    let whole = answers.rsplit_once('\n').map_or("", |(whole, _)| whole);
    for line in whole.lines() {
        match line.split(' ').collect::<Vec<_>>().as_slice() {
            ["recorded", number, index, digest] => {
                let (name, tag) = subject(number.parse()?)?;
                let record = ledger.lookup(&TagKey::of(&name, &tag))?.ok_or(format!("lost: {line}"))?;
                if record.index().to_string() != *index || record.digest().to_string() != *digest {
                    return Err(format!("changed: {line}").into());
                }
                ledger.manifest(&name, &record.digest())?.ok_or(format!("lost its manifest: {line}"))?;
            }
            ["checkpoint", size, root] => {
                let known = (size.parse()?, (*root).to_owned());
                if !roots.contains(&known) {
                    return Err(format!("forked: {line}").into());
                }
            }
            _ => {}
        }
    }
    ledger.close().await;
    drop(ledger);
    let report = fsck(&options(data), |_| ())?;
    if !report.is_sound() {
        return Err(format!("{:?}", report.findings).into());
    }
    println!("sound: {} leaves", exported.size);
    Ok(())
}
