//! Auditing good logs: what is replayed, remembered, compared, and taken up again.

use crate::knowing;
use std::path::Path;

use audit::evidence::{Verdict, recheck};
use audit::history::{Progress, Settings};
use audit::{Answer, Error, LogState, Memory, Source, Trust, audit};
use serde_json::Value;
use taglog::SupersedeRule;
use testkit::{Kind, Quirk, When};
use tlog::{KeyAlgorithm, SignedCheckpoint, SigningKey, VerifierKey};

use crate::simulator::{Directory, Log, NOW, Web};

const VECTORS: &str = include_str!("../../../taglog/testdata/taglog_vectors.json");

pub(crate) fn settings(source: Source, log: &VerifierKey, state: &Path) -> Settings {
    Settings {
        log: source,
        trust: Trust::of_key(log.clone()).unwrap(),
        state: state.to_owned(),
        copy: None,
        compare: Vec::new(),
        ahead: 4,
        now: NOW,
    }
}

pub(crate) fn nowhere(_progress: Progress) {}

fn audited(log: &VerifierKey, state: &Directory) -> (Option<u64>, Option<u64>) {
    let state = LogState::open(state.path(), log).unwrap();
    let size = |checkpoint: Option<SignedCheckpoint>| checkpoint.map(|signed| signed.checkpoint().size);
    (size(state.latest().unwrap()), size(state.audited().unwrap()))
}

#[tokio::test]
async fn a_good_log_is_audited_over_http_and_in_a_directory() {
    let log = Log::sample(400, SupersedeRule::Operator);
    let (web, directory) = (Web::of(&log), Directory::of(&log));
    for source in [web.source().below("log"), directory.source()] {
        let state = Directory::empty();
        let mut seen = Vec::new();
        let settings = settings(source, &log.key(), state.path());
        let audited_log = audit(&settings, |progress| seen.push(progress)).await.unwrap();
        let report = audited_log.report();
        assert_eq!((report.size, report.tags, report.memory), (log.size(), 400, Memory::First));
        assert_eq!(seen.len(), log.leaves.len().div_ceil(256));
        assert_eq!(seen.last(), Some(&Progress { done: log.size(), total: log.size() }));
        assert_eq!(audited(&log.key(), &state), (Some(log.size()), Some(log.size())));
    }
}

#[tokio::test]
async fn the_good_logs_of_the_reference_are_audited() {
    let vectors: Value = serde_json::from_str(VECTORS).unwrap();
    let mut logs = 0;
    for vector in vectors["good"].as_array().unwrap().iter().filter(|log| log["leaves"].is_array()) {
        let mut log = Log::new(SupersedeRule::Never);
        log.leaves.clear();
        for leaf in vector["leaves"].as_array().unwrap() {
            log.push(leaf.as_str().unwrap());
        }
        let directory = Directory::of(&log);
        directory.put("checkpoint", vector["checkpoint"].as_str().unwrap().as_bytes());
        let (key, state) = (vector["vkey"].as_str().unwrap().parse().unwrap(), Directory::empty());
        let audited = audit(&settings(directory.source(), &key, state.path()), nowhere).await.unwrap();
        let root: SignedCheckpoint = vector["checkpoint"].as_str().unwrap().parse().unwrap();
        assert_eq!(audited.report().root, root.checkpoint().root.to_string());
        logs += 1;
    }
    assert!(logs >= 3, "{logs}");
}

#[tokio::test]
async fn an_empty_log_and_one_that_was_closed_are_good_logs() {
    let empty = Log::new(SupersedeRule::Never);
    let mut closed = Log::sample(3, SupersedeRule::Never);
    closed.batch([crate::simulator::close(NOW)]);
    for log in [empty, closed] {
        let (directory, state) = (Directory::of(&log), Directory::empty());
        audit(&settings(directory.source(), &log.key(), state.path()), nowhere).await.unwrap();
    }
}

#[tokio::test]
async fn a_log_that_grew_is_audited_again_and_continues_what_was_seen() {
    let mut log = Log::sample(30, SupersedeRule::Never);
    let (directory, state) = (Directory::of(&log), Directory::empty());
    let first = log.size();
    audit(&settings(directory.source(), &log.key(), state.path()), nowhere).await.unwrap();
    log.grow(30..600);
    directory.write(&log);
    let again = audit(&settings(directory.source(), &log.key(), state.path()), nowhere).await.unwrap();
    assert_eq!(again.report().memory, Memory::Continues { remembered: first });
    assert_eq!(again.report().audited_before, Some(first));
    assert_eq!(audited(&log.key(), &state), (Some(log.size()), Some(log.size())));
}

#[tokio::test]
async fn an_interrupted_audit_is_taken_up_from_our_own_copy_and_remembers_nothing_before() {
    let log = Log::sample(800, SupersedeRule::Never);
    let (web, state, copy) = (Web::of(&log), Directory::empty(), Directory::empty());
    let mut settings = settings(web.source().below("log"), &log.key(), state.path());
    settings.copy = Some(copy.owned());
    settings.ahead = 1;
    let reference = |path: &str| format!("log/{path}");
    let broken = When::kind(Kind::File).reference(&reference("tile/entries/002"));
    web.0.quirk_when(broken, Quirk::Status(503));
    let error = audit(&settings, nowhere).await.unwrap_err();
    assert_eq!(error.answer(), Answer::None);
    assert_eq!(audited(&log.key(), &state), (None, None));
    web.0.clear();
    web.0.forget();
    audit(&settings, nowhere).await.unwrap();
    let asked = |path: &str| {
        let wanted = reference(path);
        web.0.requests().iter().filter(|request| request.reference.as_deref() == Some(&wanted)).count()
    };
    assert_eq!((asked("tile/entries/000"), asked("tile/entries/001"), asked("tile/entries/002")), (0, 0, 1));
    // The copy is a log that can be audited itself, but for what was not full.
    assert_eq!(copy.get("tile/0/001"), Directory::of(&log).get("tile/0/001"));
}

#[tokio::test]
async fn a_log_whose_key_is_not_trusted_is_not_audited() {
    let log = Log::sample(3, SupersedeRule::Never);
    let (directory, state) = (Directory::of(&log), Directory::empty());
    let other = Log::begin("other.example/log", 7, &taglog::Leaf::parse(&log.leaves[0]).unwrap());
    let error = audit(&settings(directory.source(), &other.key(), state.path()), nowhere).await.unwrap_err();
    assert!(matches!(error, Error::UntrustedLog { .. }));
}

#[tokio::test]
async fn a_log_that_changes_its_key_is_remembered_under_both() {
    let log = Log::sample(30, SupersedeRule::Never);
    let new_key = SigningKey::from_seed(log.key().name(), KeyAlgorithm::Ed25519, &[9; 32]).unwrap();
    let (directory, state) = (Directory::of(&log), Directory::empty());
    let mut note: tlog::Note = log.note().parse().unwrap();
    note.sign(&new_key).unwrap();
    directory.put("checkpoint", note.to_string().as_bytes());
    let mut settings = settings(directory.source(), &log.key(), state.path());
    settings.trust = Trust::of_key(new_key.verifier()).unwrap().and_key(log.key()).unwrap();
    let report = audit(&settings, nowhere).await.unwrap();
    assert_eq!(report.log(), &new_key.verifier());
    for key in [log.key(), new_key.verifier()] {
        assert_eq!(audited(&key, &state), (Some(log.size()), Some(log.size())));
    }

    // Another history under both keys is a fork of each.
    let mut fork = Log::sample(20, SupersedeRule::Never);
    fork.grow(21..60);
    let elsewhere = Directory::of(&fork);
    let mut note: tlog::Note = fork.note().parse().unwrap();
    note.sign(&new_key).unwrap();
    elsewhere.put("checkpoint", note.to_string().as_bytes());
    settings.log = elsewhere.source();
    let Error::Caught { evidence, .. } = audit(&settings, nowhere).await.unwrap_err() else { panic!() };
    assert_eq!(recheck(&evidence, &knowing(&evidence), NOW).unwrap(), Verdict::Proven);
}
