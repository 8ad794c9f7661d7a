//! First digests, and what the real registry says of them.

use std::fs;

use audit::Monitor;
use audit::monitor::{EventKind, Registry, Watch, journal_of};
use oci::RegistryHost;
use serde_json::Value;
use taglog::SupersedeRule;
use testkit::{FakeRegistry, Image, Kind, Quirk, When};
use upstream::UpstreamSettings;

use super::{lines, monitor_file, settings, step};
use crate::simulator::{Directory, EPOCH, Log, NOW, digest, tag};

/// A registry that is configured as `ghcr.io`, and a client that asks it.
fn registry() -> (FakeRegistry, Registry) {
    let fake = FakeRegistry::start_blocking();
    let host = RegistryHost::canonicalize("ghcr.io").unwrap();
    let upstream = UpstreamSettings { url: Some(fake.url().parse().unwrap()), ..UpstreamSettings::default() };
    let mut settings =
        upstream::Settings { upstreams: [(host, upstream)].into(), ..upstream::Settings::default() };
    settings.timeouts.retry = std::time::Duration::ZERO;
    // An hour passes whenever somebody looks: what is left alone for a while is asked again by then.
    let (start, looks) = (std::time::Instant::now(), std::sync::atomic::AtomicU32::new(0));
    settings.clock = upstream::Clock::by(move || {
        start
            + std::time::Duration::from_secs(3_600) * looks.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
    });
    let client = upstream::Client::new(settings).unwrap();
    let watch = Watch::new(|tag| tag.name.host().as_str() == "ghcr.io");
    (fake, Registry { client, watch })
}

fn first_seen(log: &mut Log, tag_name: &str, digest: &str) {
    log.batch([tag("ghcr.io/org/app", tag_name, digest, EPOCH)]);
}

#[tokio::test]
async fn a_first_digest_that_the_registry_never_served_is_reported() {
    let (fake, registry) = registry();
    let images: Vec<Image> = (0..4).map(|_| Image::unique()).collect();
    let mut log = Log::new(SupersedeRule::Never);
    // As it is; moved since; gone but still there by digest.
    fake.push_image("org/app", "same", &images[0]);
    fake.push_image("org/app", "moved", &images[1]);
    fake.push_image("org/app", "moved", &images[2]);
    fake.push_image("org/app", "gone", &images[3]);
    fake.delete_tag("org/app", "gone");
    fake.push_image("org/app", "lied-about", &images[2]);
    for (tag, image) in [("same", 0), ("moved", 1), ("gone", 3)] {
        first_seen(&mut log, tag, &images[image].digest);
    }
    first_seen(&mut log, "lied-about", &digest("never there"));
    first_seen(&mut log, "made-up", &digest("never there"));
    // Not watched, and so not asked about.
    log.batch([tag("quay.io/a/b", "v1", &digest("x"), EPOCH)]);
    let (directory, state) = (Directory::of(&log), Directory::empty());
    let mut settings = settings(&log, &directory, &state);
    settings.registry = Some(registry);
    settings.feed = Some(state.path().join("feed.xml"));
    let first = step(&settings).await.unwrap();
    assert_eq!((first.events, first.confirmed, first.pending), (6 + 4, 1, 0));
    let events = lines(&settings);
    let of_kind = |kind| events.iter().filter(move |event| event["kind"] == kind).collect::<Vec<_>>();
    let references = |reports: &[&Value]| {
        reports.iter().map(|event| event["reference"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    // The registry has them, but anybody can push a digest.
    let reports = of_kind("not-confirmed");
    assert_eq!(references(&reports), ["ghcr.io/org/app:moved", "ghcr.io/org/app:gone"]);
    assert_eq!(
        (&reports[0]["digest"], &reports[0]["other"]),
        (&Value::from(&*images[1].digest), &Value::from(&*images[2].digest))
    );
    assert!(reports[0]["text"].as_str().unwrap().contains("nothing there shows that the tag ever meant it"));
    assert!(reports[1]["reason"].as_str().unwrap().contains("no such tag") && reports[1]["other"].is_null());
    let reports = of_kind("never-served");
    assert_eq!(references(&reports), ["ghcr.io/org/app:lied-about", "ghcr.io/org/app:made-up"]);
    assert_eq!(reports[0]["other"].as_str(), Some(&*images[2].digest));
    assert!(reports[0]["reason"].as_str().unwrap().contains(&images[2].digest));
    assert!(reports[1]["reason"].as_str().unwrap().contains("no such tag"));
    let feed = fs::read_to_string(state.path().join("feed.xml")).unwrap();
    for kind in ["not-confirmed", "never-served"] {
        assert_eq!(feed.matches(&format!("<category term=\"{kind}\"/>")).count(), 2, "{feed}");
    }
    let second = step(&settings).await.unwrap();
    assert_eq!((second.events, second.confirmed, second.pending), (0, 0, 0));
}

#[tokio::test]
async fn a_registry_that_cannot_be_asked_is_asked_again_later_and_given_up_in_the_end() {
    let (fake, registry) = registry();
    let image = Image::unique();
    fake.push_image("org/app", "v1", &image);
    let mut log = Log::new(SupersedeRule::Never);
    first_seen(&mut log, "v1", &image.digest);
    first_seen(&mut log, "v2", &digest("x"));
    let (directory, state) = (Directory::of(&log), Directory::empty());
    let mut settings = settings(&log, &directory, &state);
    settings.registry = Some(registry);
    let broken = When::kind(Kind::Manifest).reference("v2");
    fake.quirk(Quirk::Status(503));
    let mut monitor = Monitor::open(settings.clone()).unwrap();
    assert_eq!(monitor.step(NOW).await.unwrap().pending, 2);
    let asked = fake.total();
    // Too early.
    assert_eq!(monitor.step(NOW + 59).await.unwrap().pending, 2);
    assert_eq!(fake.total(), asked);
    drop(monitor);
    fake.clear();
    fake.quirk_when(broken, Quirk::Status(503));
    let mut monitor = Monitor::open(settings.clone()).unwrap();
    let later = monitor.step(NOW + 60).await.unwrap();
    assert_eq!((later.confirmed, later.pending), (1, 1));
    let (mut now, mut given_up) = (NOW, 0);
    for _day in 0..20 {
        now += 24 * 3_600;
        given_up += monitor.step(now).await.unwrap().events;
    }
    assert_eq!(given_up, 1);
    assert_eq!(monitor.step(now).await.unwrap().pending, 0);
    let journal = fs::read_to_string(journal_of(&settings.state, &settings.key).unwrap()).unwrap();
    let last: Value = serde_json::from_str(journal.lines().last().unwrap()).unwrap();
    assert_eq!(last["kind"], EventKind::Unchecked.as_str());
    assert!(last["reason"].as_str().unwrap().contains("503"), "{last}");
}

#[tokio::test]
async fn a_crash_loses_no_question_to_a_registry() {
    let (_fake, registry) = registry();
    let mut log = Log::new(SupersedeRule::Never);
    let (directory, state) = (Directory::of(&log), Directory::empty());
    let mut settings = settings(&log, &directory, &state);
    settings.registry = Some(registry);
    step(&settings).await.unwrap();
    let progress = fs::read(monitor_file(&settings, "progress.json")).unwrap();
    first_seen(&mut log, "v1", &digest("never there"));
    directory.write(&log);
    step(&settings).await.unwrap();
    let journal = fs::read_to_string(monitor_file(&settings, "events.jsonl")).unwrap();
    assert_eq!(journal.lines().count(), 2);
    // The event was written, progress was not, and so neither was the question.
    fs::write(monitor_file(&settings, "progress.json"), &progress).unwrap();
    let first_line = journal.lines().next().unwrap();
    fs::write(monitor_file(&settings, "events.jsonl"), format!("{first_line}\n")).unwrap();
    step(&settings).await.unwrap();
    assert_eq!(fs::read_to_string(monitor_file(&settings, "events.jsonl")).unwrap(), journal);
}
