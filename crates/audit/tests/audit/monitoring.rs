//! Following logs: events, receivers, restarts, repositories.

mod registries;
mod trusting;

use crate::knowing;
use std::fs;
use std::path::{Path, PathBuf};

use audit::evidence::{Fault, Verdict, recheck};
use audit::monitor::{Follow, Settings, Start, Step, Undelivered, Watch, Webhook, journal_of};
use audit::{Error, Monitor, Trust};
use oci::Name;
use serde_json::Value;
use taglog::SupersedeRule;

use crate::simulator::{
    Directory, EPOCH, Log, NOW, Receiver, close, digest, impatient, moved, name, seen, supersede, tag, thaw,
};

const SECRET: &str = "of this receiver alone";

fn settings(log: &Log, directory: &Directory, state: &Directory) -> Settings {
    Settings {
        log: directory.source(),
        key: log.key(),
        trust: Trust::default(),
        state: state.owned(),
        follow: Follow::Leaves(Watch::everything()),
        start: Start::Beginning,
        registry: None,
        feed: None,
        webhooks: Vec::new(),
        http: impatient(),
    }
}

fn webhook(url: String) -> Webhook {
    Webhook { url, secret: SECRET.into() }
}

/// A step that reads the log to its end.
async fn step(settings: &Settings) -> Result<Step, Error> {
    let step = partly(settings).await;
    Ok(Step { size: Ok(step.size?), ..step })
}

/// A step that may not.
async fn partly(settings: &Settings) -> Step {
    Monitor::open(settings.clone()).unwrap().step(NOW).await.unwrap()
}

/// What a reader of lines has not seen yet.
fn lines(settings: &Settings) -> Vec<Value> {
    let mut lines = String::new();
    let mut monitor = Monitor::open(settings.clone()).unwrap();
    monitor
        .lines(|some| {
            lines.push_str(some);
            Ok(())
        })
        .unwrap();
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn kinds(events: &[Value]) -> Vec<(String, u64)> {
    events
        .iter()
        .map(|event| (event["kind"].as_str().unwrap().to_owned(), event["index"].as_u64().unwrap()))
        .collect()
}

fn monitor_file(settings: &Settings, name: &str) -> PathBuf {
    journal_of(&settings.state, &settings.key).unwrap().with_file_name(name)
}

/// One leaf of every kind that says something.
fn eventful() -> Log {
    let mut log = Log::new(SupersedeRule::Operator);
    log.batch([
        tag(name(0), "v0", &digest("v0"), EPOCH),
        tag(name(1), "v1", &digest("v1"), EPOCH),
        seen(name(2), "edge", &digest("one"), EPOCH),
    ]);
    log.batch([
        "note of a later version\n".to_owned(),
        moved(name(0), "v0", &digest("v0"), &digest("evil"), EPOCH + 1),
    ]);
    log.batch([supersede(name(0), "v0", &digest("v0"), &digest("new"), EPOCH + 2)]);
    log.batch([thaw(name(1), "v1", &digest("v1"), EPOCH + 3), close(EPOCH + 4)]);
    log
}

#[tokio::test]
async fn every_leaf_that_says_something_becomes_one_event() {
    let log = eventful();
    let (directory, state) = (Directory::of(&log), Directory::empty());
    let settings = settings(&log, &directory, &state);
    let step = step(&settings).await.unwrap();
    assert_eq!((step.size.unwrap(), step.events, step.pending), (log.size(), 7, 0));
    let events = lines(&settings);
    let expected = [
        ("first-seen", 2),
        ("first-seen", 3),
        ("seen", 4),
        ("moved", 7),
        ("superseded", 9),
        ("thawed", 11),
        ("closed", 12),
    ];
    assert_eq!(kinds(&events), expected.map(|(kind, index)| (kind.to_owned(), index)));
    let superseded = &events[4];
    assert_eq!(superseded["reference"], format!("{}:v0", name(0)));
    assert_eq!(
        (superseded["digest"].as_str(), superseded["other"].as_str()),
        (Some(digest("new").as_str()), Some(digest("v0").as_str()))
    );
    assert_eq!(
        (superseded["reason"].as_str(), superseded["time"].as_u64()),
        (Some("rebuilt, ticket 17"), Some(EPOCH + 2))
    );
    assert!(superseded["text"].as_str().unwrap().contains("the operator re-pinned"));
    assert_eq!(superseded["number"], 5);
    let ids: std::collections::BTreeSet<&str> =
        events.iter().map(|event| event["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), events.len());
}

#[tokio::test]
async fn only_watched_tags_are_reported_and_the_end_of_the_log_always() {
    let log = eventful();
    let (directory, state) = (Directory::of(&log), Directory::empty());
    let mut settings = settings(&log, &directory, &state);
    settings.follow = Follow::Leaves(Watch::new(|tag| tag.name.as_str() == name(1)));
    step(&settings).await.unwrap();
    let events = kinds(&lines(&settings));
    assert_eq!(events, [("first-seen".to_owned(), 3), ("thawed".to_owned(), 11), ("closed".to_owned(), 12)]);
}

#[tokio::test]
async fn a_monitor_may_begin_with_what_comes_next() {
    let mut log = Log::sample(300, SupersedeRule::Never);
    let (directory, state) = (Directory::of(&log), Directory::empty());
    let mut settings = settings(&log, &directory, &state);
    settings.start = Start::Now;
    assert_eq!(step(&settings).await.unwrap().events, 0);
    let before = log.size();
    log.batch([tag(name(0), "next", &digest("next"), NOW)]);
    directory.write(&log);
    assert_eq!(step(&settings).await.unwrap().events, 1);
    assert_eq!(kinds(&lines(&settings)), [("first-seen".to_owned(), before)]);
    assert_eq!(step(&settings).await.unwrap().events, 0);
}

#[tokio::test]
async fn nothing_is_missed_and_nothing_given_twice_over_restarts() {
    let mut log = Log::new(SupersedeRule::Never);
    let (directory, state) = (Directory::of(&log), Directory::empty());
    let settings = settings(&log, &directory, &state);
    let mut given = Vec::new();
    for tags in [0..5, 5..300, 300..301, 301..900] {
        log.grow(tags);
        directory.write(&log);
        step(&settings).await.unwrap();
        // A step without news in between.
        assert_eq!(step(&settings).await.unwrap().events, 0);
        given.extend(lines(&settings));
    }
    let references: Vec<&str> = given.iter().map(|event| event["reference"].as_str().unwrap()).collect();
    let expected: Vec<String> = (0..900).map(|number| format!("{}:v{number}", name(number))).collect();
    assert_eq!(references, expected);
}

#[tokio::test]
async fn lines_that_were_not_taken_are_given_again() {
    let log = eventful();
    let (directory, state) = (Directory::of(&log), Directory::empty());
    let settings = settings(&log, &directory, &state);
    step(&settings).await.unwrap();
    let mut monitor = Monitor::open(settings.clone()).unwrap();
    let broken = monitor.lines(|_lines| Err(std::io::ErrorKind::BrokenPipe.into()));
    assert!(matches!(broken, Err(Error::File { .. })));
    drop(monitor);
    assert_eq!(lines(&settings).len(), 7);
    assert!(lines(&settings).is_empty());
}

#[tokio::test]
async fn a_crash_between_journal_and_progress_repeats_nothing() {
    let mut log = Log::sample(4, SupersedeRule::Never);
    let (directory, state) = (Directory::of(&log), Directory::empty());
    let settings = settings(&log, &directory, &state);
    step(&settings).await.unwrap();
    let progress = fs::read(monitor_file(&settings, "progress.json")).unwrap();
    log.grow(4..9);
    directory.write(&log);
    step(&settings).await.unwrap();
    let journal = fs::read_to_string(monitor_file(&settings, "events.jsonl")).unwrap();
    // However much of the journal there was.
    for cut in [0, 1, 100, 700] {
        fs::write(monitor_file(&settings, "progress.json"), &progress).unwrap();
        fs::write(monitor_file(&settings, "events.jsonl"), &journal[..journal.len() - cut]).unwrap();
        step(&settings).await.unwrap();
        assert_eq!(fs::read_to_string(monitor_file(&settings, "events.jsonl")).unwrap(), journal, "{cut}");
    }
    assert_eq!(lines(&settings).len(), 9);
}

#[tokio::test]
async fn one_monitor_at_a_time_works_with_a_memory() {
    let log = eventful();
    let (directory, state) = (Directory::of(&log), Directory::empty());
    let settings = settings(&log, &directory, &state);
    let first = Monitor::open(settings.clone()).unwrap();
    assert!(matches!(Monitor::open(settings.clone()), Err(Error::InUse { .. })));
    drop(first);
    Monitor::open(settings).unwrap();
}

#[tokio::test]
async fn a_receiver_gets_each_event_once_signed_and_in_order() {
    let log = eventful();
    let (directory, state, receiver) = (Directory::of(&log), Directory::empty(), Receiver::start());
    let mut settings = settings(&log, &directory, &state);
    settings.webhooks = vec![webhook(receiver.url("/hook?token=x"))];
    // A hiccup within one step, and a refusal that ends it.
    receiver.answer(&[(200, ""), (503, ""), (200, ""), (400, "not now"), (200, "")]);
    let undelivered = step(&settings).await.unwrap().undelivered;
    let Undelivered { receiver: who, why, .. } = &undelivered[0];
    assert!(who.starts_with("http://127.0.0.1:") && !who.contains("token"), "{who}");
    assert!(why.contains("400: not now"), "{why}");
    assert_eq!(step(&settings).await.unwrap().undelivered, []);
    assert_eq!(step(&settings).await.unwrap().undelivered, []);
    let posted = receiver.posted();
    let indexes: Vec<u64> = posted
        .iter()
        .map(|posted| serde_json::from_str::<Value>(&posted.body).unwrap()["index"].as_u64().unwrap())
        .collect();
    assert_eq!(indexes, [2, 3, 3, 4, 4, 7, 9, 11, 12]);
    for posted in &posted {
        assert_eq!(posted.path, "/hook?token=x");
        assert_eq!(posted.header("content-type"), Some("application/json"));
        let event: Value = serde_json::from_str(&posted.body).unwrap();
        assert_eq!(posted.header("tlogistry-delivery"), event["id"].as_str());
        let signature = posted.header("tlogistry-signature-256").unwrap().strip_prefix("sha256=").unwrap();
        assert_eq!(signature.len(), 64);
        assert!(!posted.body.contains(SECRET));
    }
    assert_ne!(posted[0].header("tlogistry-signature-256"), posted[1].header("tlogistry-signature-256"));
    assert_eq!(posted[1].header("tlogistry-signature-256"), posted[2].header("tlogistry-signature-256"));
}

#[tokio::test]
async fn a_receiver_that_is_down_holds_up_nobody_else() {
    let log = eventful();
    let (directory, state, up) = (Directory::of(&log), Directory::empty(), Receiver::start());
    let down = testkit::port::ReservedPort::new();
    let mut settings = settings(&log, &directory, &state);
    settings.webhooks = vec![webhook(down.url()), webhook(up.url("/hook"))];
    let step = step(&settings).await.unwrap();
    assert_eq!((step.undelivered.len(), up.posted().len()), (1, 7));
}

#[tokio::test]
async fn a_bundle_that_is_withheld_hides_no_leaf_before_it_and_keeps_nothing_from_receivers() {
    let log = Log::sample(450, SupersedeRule::Never);
    let (directory, state, receiver) = (Directory::of(&log), Directory::empty(), Receiver::start());
    let mut settings = settings(&log, &directory, &state);
    settings.webhooks = vec![webhook(receiver.url("/hook"))];
    settings.feed = Some(state.path().join("feed.xml"));
    let bundle = directory.get("tile/entries/001");
    directory.remove("tile/entries/001");
    receiver.answer(&[(400, "not now"), (200, "")]);
    let first = partly(&settings).await;
    assert!(matches!(&first.size, Err(Error::Missing { place }) if place.contains("001")), "{first:?}");
    assert_eq!(first.undelivered.len(), 1);
    assert!(settings.feed.as_ref().unwrap().exists());
    let read = lines(&settings);
    assert_eq!((read.len() as u64, read.last().unwrap()["index"].as_u64()), (first.events, Some(255)));
    let second = partly(&settings).await;
    assert!(second.size.is_err() && second.events == 0 && second.undelivered.is_empty());
    assert_eq!(receiver.posted().len() as u64, first.events + 1);
    // Nor does a log that shows nothing at all.
    directory.remove("checkpoint");
    assert!(partly(&settings).await.size.is_err());
    directory.write(&log);
    directory.put("tile/entries/001", &bundle);
    let rest = step(&settings).await.unwrap();
    assert_eq!(first.events + rest.events, 450);
    assert_eq!(lines(&settings).len() as u64, rest.events);
    assert_eq!(receiver.posted().len(), 451);
}

#[tokio::test]
async fn the_feed_holds_the_newest_events_first() {
    let mut log = Log::sample(150, SupersedeRule::Never);
    let (directory, state) = (Directory::of(&log), Directory::empty());
    let mut settings = settings(&log, &directory, &state);
    let path = state.path().join("feed.xml");
    settings.feed = Some(path.clone());
    let entries = |path: &Path| {
        let feed = fs::read_to_string(path).unwrap();
        let titles = feed.split("<title>first-seen: ").skip(1);
        titles.map(|rest| rest.split('<').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    step(&settings).await.unwrap();
    let first = entries(&path);
    assert_eq!((first.len(), first[0].as_str()), (100, format!("{}:v149", name(149)).as_str()));
    log.grow(150..152);
    directory.write(&log);
    step(&settings).await.unwrap();
    assert_eq!(
        entries(&path)[..3],
        [format!("{}:v151", name(151)), format!("{}:v150", name(150)), first[0].clone()]
    );
    fs::remove_file(&path).unwrap();
    step(&settings).await.unwrap();
    assert_eq!(entries(&path).len(), 100);
}

#[tokio::test]
async fn forks_and_steps_back_are_caught_with_evidence() {
    let log = Log::sample(40, SupersedeRule::Never);
    let mut fork = Log::sample(20, SupersedeRule::Never);
    fork.batch([tag(name(0), "v20", &digest("evil"), EPOCH + 20)]);
    fork.grow(21..60);
    for (other, expected) in [(fork, "fork"), (Log::sample(20, SupersedeRule::Never), "rollback")] {
        let (directory, state) = (Directory::of(&log), Directory::empty());
        let mut settings = settings(&log, &directory, &state);
        step(&settings).await.unwrap();
        let elsewhere = Directory::of(&other);
        settings.log = elsewhere.source();
        let Error::Caught { evidence, .. } = step(&settings).await.unwrap_err() else { panic!() };
        assert_eq!(evidence.fault.kind(), expected, "{}", evidence.why);
        let verdict = recheck(&evidence, &knowing(&evidence), NOW).unwrap();
        assert_eq!(verdict == Verdict::Proven, matches!(evidence.fault, Fault::Fork { .. }));
        settings.log = directory.source();
        assert_eq!(step(&settings).await.unwrap().events, 0);
    }
}

fn show_repositories(log: &Log, directory: &Directory, names: &[&str]) {
    directory.write(log);
    for name in names {
        directory.put(&format!("tags/{name}"), log.repository_proof(name).as_bytes());
    }
}

#[tokio::test]
async fn repositories_are_watched_by_proof_and_without_their_leaves() {
    let mut log = Log::sample(12, SupersedeRule::Operator);
    let (directory, state) = (Directory::empty(), Directory::empty());
    let watched = [name(0), name(1), "example.com/none"];
    show_repositories(&log, &directory, &watched);
    let mut settings = settings(&log, &directory, &state);
    settings.follow =
        Follow::Repositories(watched.iter().map(|name| Name::parse_canonical(name).unwrap()).collect());
    let path = format!("tile/entries/000.p/{}", log.size());
    directory.remove(&path);
    assert_eq!(step(&settings).await.unwrap().events, 6);
    let references: Vec<String> =
        lines(&settings).iter().map(|event| event["reference"].as_str().unwrap().to_owned()).collect();
    let expected = [0, 5, 10].map(|number| format!("{}:v{number}", name(0)));
    assert_eq!(references[..3], expected);
    log.batch([supersede(name(1), "v1", &digest("v1"), &digest("x"), EPOCH + 12)]);
    log.batch([tag("example.com/none", "first", &digest("x"), EPOCH + 12)]);
    show_repositories(&log, &directory, &watched);
    assert_eq!(step(&settings).await.unwrap().events, 2);
    assert_eq!(step(&settings).await.unwrap().events, 0);
    let events: Vec<String> = kinds(&lines(&settings)).into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(events, ["superseded", "first-seen"]);
}

#[tokio::test]
async fn a_proof_that_leaves_a_tag_out_or_is_of_another_history_is_refused() {
    let log = Log::sample(12, SupersedeRule::Never);
    let (directory, state) = (Directory::empty(), Directory::empty());
    show_repositories(&log, &directory, &[name(0)]);
    let mut settings = settings(&log, &directory, &state);
    settings.follow = Follow::Repositories(vec![Name::parse_canonical(name(0)).unwrap()]);
    let mut incomplete = log.clone();
    incomplete.map = Log::sample(7, SupersedeRule::Never).map;
    directory.put(&format!("tags/{}", name(0)), incomplete.repository_proof(name(0)).as_bytes());
    assert!(matches!(step(&settings).await, Err(Error::Proof { .. })));

    show_repositories(&log, &directory, &[name(0)]);
    step(&settings).await.unwrap();
    let mut fork = Log::sample(9, SupersedeRule::Never);
    fork.batch([tag(name(0), "evil", &digest("evil"), EPOCH + 9)]);
    fork.grow(10..12);
    assert!(fork.size() <= log.size() + 1);
    while fork.size() < log.size() + 4 {
        fork.push("filler\n").index();
    }
    let elsewhere = Directory::of(&fork);
    elsewhere.put(&format!("tags/{}", name(0)), fork.repository_proof(name(0)).as_bytes());
    settings.log = elsewhere.source();
    assert!(matches!(step(&settings).await, Err(Error::Caught { .. })));
}

#[tokio::test]
async fn verifying_auditing_and_monitoring_can_be_spawned() {
    fn spawnable(_work: &impl Send) {}
    let log = eventful();
    let (directory, state) = (Directory::of(&log), Directory::empty());
    let settings = settings(&log, &directory, &state);
    let audit_settings = crate::auditing::settings(directory.source(), &log.key(), state.path());
    let audit = audit::audit(&audit_settings, crate::auditing::nowhere);
    spawnable(&audit);
    let verify_settings = audit::verify::Settings {
        reference: oci::Reference::parse("alpine").unwrap(),
        proof: audit::verify::Proof::Server(directory.source()),
        trust: Trust::default(),
        max_age: None,
        allow_superseded: false,
        allow_observed: false,
        state: None,
        now: NOW,
    };
    spawnable(&audit::verify(&verify_settings));
    let mut monitor = Monitor::open(settings).unwrap();
    spawnable(&monitor.step(NOW));
}

#[tokio::test]
async fn one_fault_is_written_down_once_however_often_it_is_seen() {
    let log = Log::sample(600, SupersedeRule::Never);
    let (directory, state) = (Directory::of(&log), Directory::empty());
    directory.put("tile/entries/000", b"\x00\x01?");
    let settings = settings(&log, &directory, &state);
    let mut monitor = Monitor::open(settings).unwrap();
    let mut written = std::collections::BTreeSet::new();
    for minute in 0..3 {
        let Err(Error::Caught { path, .. }) = monitor.step(NOW + 60 * minute).await.unwrap().size else {
            panic!()
        };
        written.insert(path);
    }
    assert_eq!(written.len(), 1);
}
